// epsilon_logps_finish: the token's log-probs under policy and reference, and what the perturbation changes
//
//   logps, ref_logps, plus = log p+ - log p, minus = log p - log p-, lse of the policy: [ROWS] f32, overwritten
//
//   With t the target's logit, m the maximum and s the sum of a stream:
//     log p+ - log p = (t+ - t) - (m+ - m) - log(s+ / s)
//   which keeps the small difference that a subtraction of two log-probs would round away.
//
// One invocation per row.
import package::grid::invocation_index;
import package::math::log1p;
import constants::WORKGROUP;

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
  let m = state[3u * row];
  let s = state[3u * row + 1u];
  let t = state[3u * row + 2u];
  logps[row] = (t.x - m.x) - log(s.x);
  ref_logps[row] = (t.y - m.y) - log(s.y);
  plus[row] = ((t.z - t.x) - (m.z - m.x)) - log_ratio(s.z, s.x);
  minus[row] = ((t.x - t.w) - (m.x - m.w)) - log_ratio(s.x, s.w);
  lse[row] = m.x + log(s.x);
}

/// log(a / b), exactly 0 for equal sums.
fn log_ratio(a: f32, b: f32) -> f32 {
  return log1p((a - b) / b);
}
