// column_select: column[r] = rows[r, COLUMN] of a matrix with STRIDE columns
//
//   rows: [R, STRIDE] f32    column: [R] f32, overwritten. One invocation per row.
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

override STRIDE: u32;
override COLUMN: u32;

@group(0) @binding(0) var<storage, read> rows: array<f32>;
@group(0) @binding(1) var<storage, read_write> column: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let row = invocation_index(id, workgroups, WORKGROUP);
  if (row >= arrayLength(&column)) { return; }
  column[row] = rows[row * STRIDE + COLUMN];
}
