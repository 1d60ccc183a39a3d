// token_logps_direction_rescale: sum[r] *= exp(m - m'), when the running maximum of a row's logits rose from m to m'
//
//   sum: [ROWS, 4 * H4] f32, sum_v exp(z_v - m) W_v so far    maxima: [ROWS] f32, m    state: m' in its every STRIDE-th vec4
//
// One invocation per vec4 of sum; limited by bandwidth.
import package::grid::invocation_index;
import constants::WORKGROUP;

override H4: u32;
override STRIDE: u32;

@group(0) @binding(0) var<storage, read_write> sum: array<vec4f>;
@group(0) @binding(1) var<storage, read> maxima: array<f32>;
@group(0) @binding(2) var<storage, read> state: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= arrayLength(&sum)) { return; }
  let row = i / H4;
  sum[i] *= exp(maxima[row] - state[STRIDE * row].x);
}
