// epsilon_logps_chunk_forward: one step of a row's online softmaxes over a vocabulary chunk of two logit streams, z (policy)
// and r (reference), and of the perturbed streams z + E d and z - E d, d = z - r
//
//   m, S: maximum and sum of exp(z - m), likewise for r, z + E d and z - E d;   A+- = sum exp(z - m) expm1(+-E d)
//
//   While E d is small the perturbed sums differ little from S; A+- are those differences, in which nothing cancels. Where
//   z = r everywhere, A+ = A- = 0 exactly.
//
//   z, r: [ROWS, C] f32    targets: [ROWS] u32
//   state: [ROWS, 3] vec4f: maxima and sums of (z, r, z + E d, z - E d), then (A+, A-, z_y, d_y)
//   FIRST starts the state, otherwise it is continued. SOFTCAP caps both logits first.
//
// One invocation per row, no barriers; limited by reading the two chunks. Columns chunk_start .. chunk_start + C.
import package::grid::invocation_index;
import package::math::expm1;
import package::softcap::capped;
import constants::WORKGROUP;

override C: u32;
override E: f32;

@group(0) @binding(0) var<storage, read> z: array<f32>;
@group(0) @binding(1) var<storage, read> r: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read_write> state: array<vec4f>;
@group(0) @binding(4) var<storage, read> chunk_start: array<u32>;

/// The four streams, given the two logits.
fn streams(policy: f32, reference: f32) -> vec4f {
  let step = E * (policy - reference);
  return vec4f(policy, reference, policy + step, policy - step);
}

/// w expm1(x) with w = exp(a); finite also where expm1(x) alone is not. Beyond e^80 only the sums count.
fn growth(w: f32, a: f32, x: f32) -> f32 {
  if (abs(x) <= 0.5) { return w * expm1(x); }
  return exp(min(a + x, 80.0)) - w;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let row = invocation_index(id, workgroups, WORKGROUP);
  if (row >= arrayLength(&targets)) { return; }
  @if(FIRST) let before = vec4f(-3.4e38);
  @else let before = state[3u * row];
  @if(FIRST) var sums = vec4f();
  @else var sums = state[3u * row + 1u];
  @if(FIRST) var rest = vec4f();
  @else var rest = state[3u * row + 2u];
  let base = row * C;

  var largest = before;
  for (var c = base; c < base + C; c++) { largest = max(largest, streams(capped(z[c]), capped(r[c]))); }
  let rescale = exp(before - largest);
  // The chunk's own sums first, as in token_logps_chunk_forward.
  var chunk_sums = vec4f();
  var chunk_growths = vec2f();
  for (var c = base; c < base + C; c++) {
    let policy = capped(z[c]);
    let reference = capped(r[c]);
    let terms = exp(streams(policy, reference) - largest);
    let step = E * (policy - reference);
    let a = policy - largest.x;
    chunk_sums += terms;
    chunk_growths += vec2f(growth(terms.x, a, step), growth(terms.x, a, -step));
  }
  sums = sums * rescale + chunk_sums;
  let growths = rest.xy * rescale.x + chunk_growths;
  let column = targets[row] - chunk_start[0];
  if (targets[row] >= chunk_start[0] && column < C) {
    let policy = capped(z[base + column]);
    rest = vec4f(0.0, 0.0, policy, policy - capped(r[base + column]));
  }
  state[3u * row] = largest;
  state[3u * row + 1u] = sums;
  state[3u * row + 2u] = vec4f(growths, rest.zw);
}
