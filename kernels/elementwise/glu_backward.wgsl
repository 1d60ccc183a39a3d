// glu_backward: dgate = dy up f'(gate),   dup = dy f(gate), element by element; f is silu, or GELU (activation.wgsl)
//
//   gate, up: f32, or f16 in pairs (HALF, which needs VEC4; activation.wgsl)    dy, dgate, dup: f32; dgate and dup are overwritten
//   One invocation per four elements (VEC4) or per element, as in glu_forward; limited by bandwidth.
import package::elementwise::activation::relative_slope;
import package::elementwise::activation::gate_sigmoid;
import package::elementwise::activation::of_kept;
import package::shared::elements::Elements;
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

@if(HALF) alias Stored = vec2u;
@else alias Stored = Elements;

@group(0) @binding(0) var<storage, read> gate: array<Stored>;
@group(0) @binding(1) var<storage, read> up: array<Stored>;
@group(0) @binding(2) var<storage, read> dy: array<Elements>;
@group(0) @binding(3) var<storage, read_write> dgate: array<Elements>;
@group(0) @binding(4) var<storage, read_write> dup: array<Elements>;

/// As a vec4f, of which a single element has the first.
fn widened(stored: Stored) -> vec4f {
  @if(HALF) return of_kept(stored);
  @if(!HALF) return vec4f(stored);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= arrayLength(&dy)) { return; }
  let g = widened(gate[i]);
  let s = gate_sigmoid(g);
  let toward_gate = vec4f(dy[i]) * widened(up[i]) * s * relative_slope(g, s);
  let toward_up = vec4f(dy[i]) * g * s;
  @if(VEC4) { dgate[i] = toward_gate; dup[i] = toward_up; }
  @else { dgate[i] = toward_gate.x; dup[i] = toward_up.x; }
}
