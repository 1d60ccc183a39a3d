// token_logps_finish: log p(y_r) = z_y - m - log s, and the log-sum-exp m + log s that the backward pass needs
//
//   state: [ROWS] vec4f (m, s, z_y, unused)    logps: [ROWS] f32    lse: [ROWS] f32; both overwritten.
//
// s is 1 or more, so the logarithm never sees 0. One invocation per row.
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

@group(0) @binding(0) var<storage, read> state: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> logps: array<f32>;
@group(0) @binding(2) var<storage, read_write> lse: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let invocation = invocation_index(id, workgroups, WORKGROUP);
  let row = invocation;
  if (row >= arrayLength(&logps)) { return; }
  let s = state[row];
  let log_sum = log(s.y);
  logps[row] = (s.z - s.x) - log_sum;
  lse[row] = s.x + log_sum;
}
