// column_sum: y[h] (+)= sum_s x[s, h], in the order of s
//
//   x: [S, H] f32    y: [H] f32.   ACCUMULATE adds to y, otherwise y is overwritten. One invocation per column.
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

override H: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let h = invocation_index(id, workgroups, WORKGROUP);
  if (h >= H) { return; }
  var sum = 0.0;
  for (var i = h; i < arrayLength(&x); i += H) { sum += x[i]; }
  @if(ACCUMULATE) y[h] += sum;
  @else y[h] = sum;
}
