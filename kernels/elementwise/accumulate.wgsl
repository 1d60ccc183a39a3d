// accumulate: y (+)= x, element by element, f32.   ACCUMULATE adds to y, otherwise y is overwritten.
//
// EACH vec4s (VEC4: the length is a multiple of 4) or elements an invocation, a workgroup apart; limited by bandwidth.
import package::shared::elements::Elements;
import package::shared::grid::workgroup_index;
import constants::EACH;
import constants::WORKGROUP;

@group(0) @binding(0) var<storage, read> x: array<Elements>;
@group(0) @binding(1) var<storage, read_write> y: array<Elements>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) local_index: u32) {
  let first = workgroup_index(workgroup, workgroups) * WORKGROUP * EACH + local_index;
  let count = arrayLength(&y);
  if (first >= count) { return; }
  //# for j in EACH
  let i$j = min(first + $ju * WORKGROUP, count - 1u);
  let x$j = x[i$j];
  //# end
  //# for j in EACH
  if (first + $ju * WORKGROUP < count) {
    @if(ACCUMULATE) y[i$j] += x$j;
    @else y[i$j] = x$j;
  }
  //# end
}
