// glu_forward: y = f(gate) * up, element by element; f is silu, or GELU (activation.wgsl)
//
//   gate, up, y: equal length, f32; y is overwritten. HALF, which needs VEC4: y is the input of a product in f16 (`half_input` of half.wgsl). EACH vec4s (VEC4: the length is a multiple of 4) or elements an
//   invocation, a workgroup apart; limited by bandwidth.
import package::elementwise::activation::activated;
import package::shared::elements::Elements;
import package::shared::grid::workgroup_index;
import package::shared::half::half_input;
import constants::EACH;
import constants::WORKGROUP;

@group(0) @binding(0) var<storage, read> gate: array<Elements>;
@group(0) @binding(1) var<storage, read> up: array<Elements>;
@if(HALF) @group(0) @binding(2) var<storage, read_write> y: array<vec2u>;
@if(!HALF) @group(0) @binding(2) var<storage, read_write> y: array<Elements>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) local_index: u32) {
  let first = workgroup_index(workgroup, workgroups) * WORKGROUP * EACH + local_index;
  let count = arrayLength(&y);
  if (first >= count) { return; }
  //# for j in EACH
  let i$j = min(first + $ju * WORKGROUP, count - 1u);
  let gate$j = vec4f(gate[i$j]);
  let up$j = up[i$j];
  //# end
  //# for j in EACH
  if (first + $ju * WORKGROUP < count) {
    @if(HALF) y[i$j] = half_input(activated(gate$j) * up$j);
    @if(VEC4 && !HALF) y[i$j] = activated(gate$j) * up$j;
    @if(!VEC4) y[i$j] = activated(gate$j).x * up$j;
  }
  //# end
}
