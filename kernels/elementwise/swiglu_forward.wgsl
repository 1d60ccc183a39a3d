// swiglu_forward: y = gate * sigmoid(gate) * up, element by element
//
//   gate, up, y: equal length, f32; y is overwritten. One invocation per four elements (VEC4: the length is a multiple of
//   4) or per element; limited by bandwidth.
import package::shared::elements::Elements;
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

@group(0) @binding(0) var<storage, read> gate: array<Elements>;
@group(0) @binding(1) var<storage, read> up: array<Elements>;
@group(0) @binding(2) var<storage, read_write> y: array<Elements>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= arrayLength(&y)) { return; }
  let g = gate[i];
  // exp of a large argument may be infinite: beyond 80 the sigmoid is 0 in f32 anyway.
  y[i] = g / (1.0 + exp(min(-g, Elements(80.0)))) * up[i];
}
