// token_logps_direction_weights: z[r, c] = exp(z[r, c] - m') * slope of the cap, in place over a chunk of logits
//
//   z: [ROWS, C] f32    state: the running maximum m' in its every STRIDE-th vec4    maxima: [ROWS] f32, set to m'
//   SOFTCAP: z holds raw logits.
//
// One invocation per logit; limited by bandwidth.
import package::grid::invocation_index;
import package::softcap::capped;
import package::softcap::capped_slope;
import constants::WORKGROUP;

override C: u32;
override STRIDE: u32;

@group(0) @binding(0) var<storage, read_write> z: array<f32>;
@group(0) @binding(1) var<storage, read> state: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> maxima: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= arrayLength(&z)) { return; }
  let row = i / C;
  let largest = state[STRIDE * row].x;
  let value = capped(z[i]);
  z[i] = exp(value - largest) * capped_slope(value);
  if (i % C == 0u) { maxima[row] = largest; }
}
