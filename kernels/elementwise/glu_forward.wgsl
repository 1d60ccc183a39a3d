// glu_forward: y = f(gate) * up, element by element; f is silu, or GELU (activation.wgsl)
//
//   gate, up, y: equal length, f32; y is overwritten. One invocation per four elements (VEC4: the length is a multiple of
//   4) or per element; limited by bandwidth.
import package::elementwise::activation::activated;
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
  @if(VEC4) y[i] = activated(gate[i]) * up[i];
  @else y[i] = activated(vec4f(gate[i])).x * up[i];
}
