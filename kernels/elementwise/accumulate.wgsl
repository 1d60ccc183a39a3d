// accumulate: y (+)= x, element by element, f32.   ACCUMULATE adds to y, otherwise y is overwritten.
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= arrayLength(&y)) { return; }
  @if(ACCUMULATE) y[i] += x[i];
  @else y[i] = x[i];
}
