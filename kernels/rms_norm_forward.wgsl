// rms_norm_forward: y[t] = x[t] * r[t] * w,   r[t] = 1 / sqrt(mean(x[t]^2) + EPS)
//
//   x, y: [T, H] f32    w: [H] f32    r: [T] f32; y and r are overwritten.
//
// One invocation per row, read twice; no barriers. Limited by bandwidth. H is the length of a binding: loops of a baked
// length are unrolled by CPU adapters, which then compile for seconds.
import package::grid::invocation_index;
import constants::WORKGROUP;

override EPS: f32;

@if(VEC4) alias element = vec4f;
@else alias element = f32;
@if(VEC4) const WIDTH = 4u;
@else const WIDTH = 1u;

@group(0) @binding(0) var<storage, read> x: array<element>;
@group(0) @binding(1) var<storage, read> w: array<element>;
@group(0) @binding(2) var<storage, read_write> y: array<element>;
@group(0) @binding(3) var<storage, read_write> r: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let t = invocation_index(id, workgroups, WORKGROUP);
  if (t >= arrayLength(&r)) { return; }
  let columns = arrayLength(&w);
  let base = t * columns;
  var squares = element();
  for (var h = 0u; h < columns; h++) { squares += x[base + h] * x[base + h]; }
  @if(VEC4) let sum = squares.x + squares.y + squares.z + squares.w;
  @else let sum = squares;
  let scale = 1.0 / sqrt(sum / f32(columns * WIDTH) + EPS);
  for (var h = 0u; h < columns; h++) { y[base + h] = x[base + h] * scale * w[h]; }
  r[t] = scale;
}
