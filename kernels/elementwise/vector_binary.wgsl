// vector_binary: y = f(a, b), element by element; a vector of length 1 stands for all elements
//
//   OP 0 a + b   1 a - b   2 a * b   3 a / b   4 min(a, b)   5 max(a, b)   6 a > b (1 or 0)
//
//   a, b: [N] or [1]    y: [N], overwritten, or added to with ACCUMULATE. f32. One invocation per element.
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

override OP: u32;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= arrayLength(&y)) { return; }
  let left = a[min(i, arrayLength(&a) - 1u)];
  let right = b[min(i, arrayLength(&b) - 1u)];
  var result = left + right;
  switch (OP) {
    case 1u: { result = left - right; }
    case 2u: { result = left * right; }
    case 3u: { result = left / right; }
    case 4u: { result = min(left, right); }
    case 5u: { result = max(left, right); }
    case 6u: { result = select(0.0, 1.0, left > right); }
    default: {}
  }
  @if(ACCUMULATE) y[i] += result;
  @else y[i] = result;
}
