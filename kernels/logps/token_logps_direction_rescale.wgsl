// token_logps_direction_rescale: sum[r] *= exp(m - m'), when the running maximum of a row's logits rises from m to m'
//
//   sum: [ROWS, 4 * H4] f32, sum_v exp(z_v - m) W_v so far    state: [ROWS, STRIDE] vec4f, m' its first number, m its last
//
// One invocation per vec4 of sum; limited by bandwidth.
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

override H4: u32;
override STRIDE: u32;

@group(0) @binding(0) var<storage, read_write> sum: array<vec4f>;
@group(0) @binding(1) var<storage, read> state: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= arrayLength(&sum)) { return; }
  let own = (i / H4) * STRIDE;
  sum[i] *= exp(state[own + STRIDE - 1u].w - state[own].x);
}
