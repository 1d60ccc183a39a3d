// gather_rows_forward: y[r] = x[rows[r]]
//
//   x: [T, H] f32    rows: [R] u32    y: [R, H] f32, overwritten. One invocation per element; limited by bandwidth.
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

override H: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= arrayLength(&y)) { return; }
  y[i] = x[rows[i / H] * H + i % H];
}
