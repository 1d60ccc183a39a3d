// vector_dot: y = sum_i a[i] * b[i], in order
//
//   a, b: [N] f32    y: [1], overwritten, or added to with ACCUMULATE. One invocation; N is a number of pairs.
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(1)
fn main() {
  var sum = 0.0;
  for (var i = 0u; i < arrayLength(&a); i++) { sum += a[i] * b[i]; }
  @if(ACCUMULATE) y[0] += sum;
  @else y[0] = sum;
}
