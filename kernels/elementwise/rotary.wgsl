// rotary: turns the pair (x[d], x[d + D]) of every head by the angle of its position, D = head size / 2
//
//   y[d] = x[d] c - x[d + D] s,   y[d + D] = x[d + D] c + x[d] s,   (c, s) = table[position, d]
//
//   x, y: [T, HEADS * 2 * D] f32    positions: [T] u32    table: [positions, D] vec2f (cos, sin), made on the host in f64
//   DIRECTION is 1, or -1 for the backward pass, which turns gradients back.   ACCUMULATE adds to y.
//
// One invocation per pair; limited by bandwidth.
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

override HEADS: u32;
override D: u32;
override DIRECTION: f32 = 1.0;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> positions: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= arrayLength(&x) / 2u) { return; }
  let d = i % D;
  let low = (i / D) * 2u * D + d;
  let turn = table[positions[i / (HEADS * D)] * D + d];
  let s = DIRECTION * turn.y;
  let a = x[low] * turn.x - x[low + D] * s;
  let b = x[low + D] * turn.x + x[low] * s;
  @if(ACCUMULATE) {
    y[low] += a;
    y[low + D] += b;
  }
  @if(!ACCUMULATE) {
    y[low] = a;
    y[low + D] = b;
  }
}
