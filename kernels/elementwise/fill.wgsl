// fill: x[i] = VALUE for every element of the binding, f32. One invocation per four elements (VEC4) or per element.
import package::shared::elements::Elements;
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

override VALUE: f32;

@group(0) @binding(0) var<storage, read_write> x: array<Elements>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= arrayLength(&x)) { return; }
  x[i] = Elements(VALUE);
}
