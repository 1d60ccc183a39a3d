// epsilon_logps_finish: the token's log-probs under policy and reference, and what the perturbation changes
//
//   log p = z_y - m - log S, likewise for the reference with z_y - d_y
//   log p+ - log p = E d_y - log(sum exp(z + E d) / sum exp z);   log p - log p- = E d_y + log(sum exp(z - E d) / sum exp z)
//
//   state: [ROWS, 4] vec4f as epsilon_logps_chunk_forward leaves it
//   logps, ref_logps, plus, minus, lse of the policy: [ROWS] f32, overwritten. plus and minus are exactly 0 where z = r.
//
// One invocation per row.
import package::shared::grid::invocation_index;
import package::shared::math::log1p;
import constants::WORKGROUP;

override E: f32;

@group(0) @binding(0) var<storage, read> state: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> logps: array<f32>;
@group(0) @binding(2) var<storage, read_write> ref_logps: array<f32>;
@group(0) @binding(3) var<storage, read_write> plus: array<f32>;
@group(0) @binding(4) var<storage, read_write> minus: array<f32>;
@group(0) @binding(5) var<storage, read_write> lse: array<f32>;

/// log(sum of a perturbed stream / sum of the policy's), from the difference of the sums unless that is large.
fn log_ratio(difference: f32, sum: f32, largest: f32, perturbed_sum: f32, perturbed_largest: f32) -> f32 {
  let change = difference / sum;
  if (abs(change) <= 0.5) { return log1p(change); }
  return (perturbed_largest - largest) + log(perturbed_sum / sum);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let row = invocation_index(id, workgroups, WORKGROUP);
  if (row >= arrayLength(&logps)) { return; }
  let m = state[4u * row];
  let s = state[4u * row + 1u];
  let rest = state[4u * row + 2u];
  let z = rest.z;
  let d = rest.w;
  let log_sum = log(s.x);
  logps[row] = (z - m.x) - log_sum;
  lse[row] = m.x + log_sum;
  ref_logps[row] = ((z - d) - m.y) - log(s.y);
  plus[row] = E * d - log_ratio(rest.x, s.x, m.x, s.z, m.z);
  minus[row] = E * d + log_ratio(rest.y, s.x, m.x, s.w, m.w);
}
