// rotary: turns the pair (x[d], x[d + D]) of every head by the angle of its position, D = head size / 2
//
//   y[d] = x[d] c - x[d + D] s,   y[d + D] = x[d + D] c + x[d] s,   (c, s) = table[position, d]
//
//   x, y: [T, HEADS * 2 * D] f32    positions: [T] u32    table: [positions, D] pairs (cos, sin), made on the host in f64
//   DIRECTION is 1, or -1 for the backward pass, which turns gradients back.   ACCUMULATE adds to y.
//
// EACH vec4s of pairs (VEC4: D is a multiple of 4) or pairs an invocation, a workgroup apart; limited by bandwidth.
import package::shared::elements::Elements;
import package::shared::elements::WIDTH;
import package::shared::grid::workgroup_index;
import constants::EACH;
import constants::WORKGROUP;

override HEADS: u32;
override D: u32;
override DIRECTION: f32 = 1.0;

@group(0) @binding(0) var<storage, read> x: array<Elements>;
@group(0) @binding(1) var<storage, read> positions: array<u32>;
@if(VEC4) @group(0) @binding(2) var<storage, read> table: array<array<vec4f, 2>>;
@else @group(0) @binding(2) var<storage, read> table: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> y: array<Elements>;

struct Turn { cos: Elements, sin: Elements }

fn turn_at(i: u32) -> Turn {
  @if(VEC4) {
    let four = table[i];
    return Turn(vec4f(four[0].xz, four[1].xz), vec4f(four[0].yw, four[1].yw));
  }
  @if(!VEC4) {
    let one = table[i];
    return Turn(one.x, one.y);
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) local_index: u32) {
  let half_head = D / WIDTH;
  let first = workgroup_index(workgroup, workgroups) * WORKGROUP * EACH + local_index;
  let count = arrayLength(&x) / 2u;
  if (first >= count) { return; }
  //# for j in EACH
  let i$j = min(first + $ju * WORKGROUP, count - 1u);
  let low$j = i$j / half_head * 2u * half_head + i$j % half_head;
  let a$j = x[low$j];
  let b$j = x[low$j + half_head];
  let turn$j = turn_at(positions[i$j / (HEADS * half_head)] * half_head + i$j % half_head);
  //# end
  //# for j in EACH
  if (first + $ju * WORKGROUP < count) {
    let s$j = DIRECTION * turn$j.sin;
    store(low$j, a$j * turn$j.cos - b$j * s$j);
    store(low$j + half_head, b$j * turn$j.cos + a$j * s$j);
  }
  //# end
}

fn store(i: u32, turned: Elements) {
  @if(ACCUMULATE) y[i] += turned;
  @else y[i] = turned;
}
