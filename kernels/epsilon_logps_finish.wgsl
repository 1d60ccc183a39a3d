// epsilon_logps_finish: the token's log-probs under policy and reference, and what the perturbation changes
//
//   log p = z_y - m - log S;   log pref = z_y - d_y - n - log R
//   log p+ - log p = E d_y - log1p(A+ / S);   log p - log p- = E d_y + log1p(A- / S)
//
//   state: [ROWS, 2] vec4f as epsilon_logps_chunk_forward leaves it
//   logps, ref_logps, plus, minus, lse of the policy: [ROWS] f32, overwritten. plus and minus are exactly 0 where z = r.
//
// One invocation per row.
import package::grid::invocation_index;
import package::math::log1p;
import constants::WORKGROUP;

override E: f32;

@group(0) @binding(0) var<storage, read> state: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> logps: array<f32>;
@group(0) @binding(2) var<storage, read_write> ref_logps: array<f32>;
@group(0) @binding(3) var<storage, read_write> plus: array<f32>;
@group(0) @binding(4) var<storage, read_write> minus: array<f32>;
@group(0) @binding(5) var<storage, read_write> lse: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let row = invocation_index(id, workgroups, WORKGROUP);
  if (row >= arrayLength(&logps)) { return; }
  let policy = state[2u * row];
  let reference = state[2u * row + 1u];
  let z = reference.z;
  let d = reference.w;
  let log_sum = log(policy.y);
  logps[row] = (z - policy.x) - log_sum;
  lse[row] = policy.x + log_sum;
  ref_logps[row] = ((z - d) - reference.x) - log(reference.y);
  // The ratios are means of expm1 and above -1; rounding may reach it.
  let change = max(policy.zw / policy.y, vec2f(-0.9999999));
  plus[row] = E * d - log1p(change.x);
  minus[row] = E * d + log1p(change.y);
}
