// glu_backward: dgate = dy up f'(gate),   dup = dy f(gate), element by element; f is silu, or GELU (activation.wgsl)
//
//   gate, up: f32, or f16 in pairs (HALF, which needs VEC4; activation.wgsl)    dy, dgate, dup: f32; dgate and dup are overwritten
//   GRADIENT_HALF, which needs VEC4: dgate and dup are gradients that only products read, in f16 (`half_gradient` of half.wgsl)
//   EACH vec4s (VEC4) or elements an invocation, as in glu_forward; limited by bandwidth.
import package::elementwise::activation::relative_slope;
import package::elementwise::activation::gate_sigmoid;
import package::elementwise::activation::of_kept;
import package::shared::elements::Elements;
import package::shared::grid::workgroup_index;
import package::shared::half::half_gradient;
import constants::EACH;
import constants::WORKGROUP;

@if(HALF) alias Stored = vec2u;
@else alias Stored = Elements;
@if(GRADIENT_HALF) alias Gradient = vec2u;
@else alias Gradient = Elements;

@group(0) @binding(0) var<storage, read> gate: array<Stored>;
@group(0) @binding(1) var<storage, read> up: array<Stored>;
@group(0) @binding(2) var<storage, read> dy: array<Elements>;
@group(0) @binding(3) var<storage, read_write> dgate: array<Gradient>;
@group(0) @binding(4) var<storage, read_write> dup: array<Gradient>;

/// As a vec4f, of which a single element has the first.
fn widened(stored: Stored) -> vec4f {
  @if(HALF) return of_kept(stored);
  @if(!HALF) return vec4f(stored);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) local_index: u32) {
  let first = workgroup_index(workgroup, workgroups) * WORKGROUP * EACH + local_index;
  let count = arrayLength(&dy);
  if (first >= count) { return; }
  //# for j in EACH
  let i$j = min(first + $ju * WORKGROUP, count - 1u);
  let gate$j = gate[i$j];
  let up$j = up[i$j];
  let dy$j = vec4f(dy[i$j]);
  //# end
  //# for j in EACH
  if (first + $ju * WORKGROUP < count) { pass_on(i$j, widened(gate$j), widened(up$j), dy$j); }
  //# end
}

/// Stores both gradients of element i (or vec4 i).
fn pass_on(i: u32, g: vec4f, u: vec4f, toward_y: vec4f) {
  let s = gate_sigmoid(g);
  let toward_gate = toward_y * u * s * relative_slope(g, s);
  let toward_up = toward_y * g * s;
  @if(GRADIENT_HALF) { dgate[i] = half_gradient(toward_gate); dup[i] = half_gradient(toward_up); }
  @if(VEC4 && !GRADIENT_HALF) { dgate[i] = toward_gate; dup[i] = toward_up; }
  @if(!VEC4) { dgate[i] = toward_gate.x; dup[i] = toward_up.x; }
}
