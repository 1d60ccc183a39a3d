// rms_norm_backward_input: dx[t] (+)= r (dy w - n mean(dy w n)),   n = x[t] r[t]
//
//   x, dy, dx: [T, H] f32    w: [H] f32    r: [T] f32.   ACCUMULATE adds to dx, otherwise dx is overwritten.
//
// One invocation per row, read twice; no barriers. Limited by bandwidth. H is the length of a binding: loops of a baked
// length are unrolled by CPU adapters, which then compile for seconds.
import package::grid::invocation_index;
import constants::WORKGROUP;


@if(VEC4) alias element = vec4f;
@else alias element = f32;
@if(VEC4) const WIDTH = 4u;
@else const WIDTH = 1u;

@group(0) @binding(0) var<storage, read> x: array<element>;
@group(0) @binding(1) var<storage, read> w: array<element>;
@group(0) @binding(2) var<storage, read> r: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<element>;
@group(0) @binding(4) var<storage, read_write> dx: array<element>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let t = invocation_index(id, workgroups, WORKGROUP);
  if (t >= arrayLength(&r)) { return; }
  let columns = arrayLength(&w);
  let base = t * columns;
  let scale = r[t];
  var products = element();
  for (var h = 0u; h < columns; h++) { products += dy[base + h] * w[h] * x[base + h]; }
  @if(VEC4) let sum = products.x + products.y + products.z + products.w;
  @else let sum = products;
  // n mean(dy w n) = x r^2 mean(dy w x)
  let pull = scale * scale * sum / f32(columns * WIDTH);
  for (var h = 0u; h < columns; h++) {
    let gradient = scale * (dy[base + h] * w[h] - x[base + h] * pull);
    @if(ACCUMULATE) dx[base + h] += gradient;
    @else dx[base + h] = gradient;
  }
}
