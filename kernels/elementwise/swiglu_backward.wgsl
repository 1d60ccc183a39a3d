// swiglu_backward: dgate = dy up (s + g s (1 - s)),   dup = dy g s,   s = sigmoid(g), element by element
//
//   gate, up: f32, or f16 packed in pairs (HALF, which needs VEC4)    dy, dgate, dup: f32; dgate and dup are overwritten
//   One invocation per four elements (VEC4) or per element, as in swiglu_forward; limited by bandwidth.
import package::shared::elements::Elements;
import package::shared::grid::invocation_index;
import package::shared::half::widen_f16;
import constants::WORKGROUP;


@if(HALF) alias Stored = vec2u;
@else alias Stored = Elements;

@group(0) @binding(0) var<storage, read> gate: array<Stored>;
@group(0) @binding(1) var<storage, read> up: array<Stored>;
@group(0) @binding(2) var<storage, read> dy: array<Elements>;
@group(0) @binding(3) var<storage, read_write> dgate: array<Elements>;
@group(0) @binding(4) var<storage, read_write> dup: array<Elements>;

fn widened(stored: Stored) -> Elements {
  @if(HALF) return vec4f(widen_f16(stored.x), widen_f16(stored.y));
  @else return stored;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= arrayLength(&dy)) { return; }
  let g = widened(gate[i]);
  let s = 1.0 / (1.0 + exp(min(-g, Elements(80.0))));
  dgate[i] = dy[i] * widened(up[i]) * s * (1.0 + g * (1.0 - s));
  dup[i] = dy[i] * g * s;
}
