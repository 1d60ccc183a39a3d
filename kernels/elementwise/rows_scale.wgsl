// rows_scale: y[r] (+)= factors[r] * x[r], row by row
//
//   x, y: [ROWS, 4 * H4] f32    factors: [ROWS] f32.   ACCUMULATE adds to y, otherwise y is overwritten.
//
// One invocation per vec4; limited by bandwidth.
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

override H4: u32;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> factors: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= arrayLength(&y)) { return; }
  let scaled = factors[i / H4] * x[i];
  @if(ACCUMULATE) y[i] += scaled;
  @else y[i] = scaled;
}
