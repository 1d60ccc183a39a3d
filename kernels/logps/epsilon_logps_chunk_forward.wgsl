// epsilon_logps_chunk_forward: one step of a row's online softmaxes over a vocabulary chunk of two logit streams, z (policy)
// and r (reference), and of the perturbed streams z + E d and z - E d, d = z - r
//
//   m, S: maximum and sum of exp(z - m), likewise for r, z + E d and z - E d;   A+- = sum exp(z - m) expm1(+-E d)
//
//   While E d is small the perturbed sums differ little from S; A+- are those differences, in which nothing cancels. Where
//   z = r everywhere, A+ = A- = 0 exactly.
//
//   z, r: [ROWS, C] f32    targets: [ROWS] u32
//   state: [ROWS, 4] vec4f: maxima and sums of (z, r, z + E d, z - E d), (A+, A-, z_y, d_y), and last the maximum of z before
//   FIRST starts the state, otherwise it is continued. SOFTCAP caps both logits first.
//   WEIGHTS: z is overwritten by exp(z - m) * slope of the cap, for what is added up along (logp-direction.ts).
//
// Rows as in rows.wgsl; limited by reading the two chunks. Columns chunk_start .. chunk_start + C.
import package::shared::math::expm1;
import package::shared::rows::STEP;
import package::shared::rows::first_element;
import package::shared::rows::row_max;
import package::shared::rows::row_of;
import package::shared::rows::row_sum;
import package::shared::rows::writes_row;
import package::shared::softcap::capped;
import package::shared::softcap::capped_slope;
import constants::WORKGROUP;

override E: f32;

@if(WEIGHTS) @group(0) @binding(0) var<storage, read_write> z: array<f32>;
@else @group(0) @binding(0) var<storage, read> z: array<f32>;
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
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) local_index: u32) {
  let row = row_of(workgroup, workgroups, local_index);
  if (row >= arrayLength(&targets)) { return; }
  let columns = arrayLength(&z) / arrayLength(&targets);
  let base = row * columns;
  @if(FIRST) let before = vec4f(-3.4e38);
  @else let before = state[4u * row];
  @if(FIRST) let sums = vec4f();
  @else let sums = state[4u * row + 1u];
  @if(FIRST) var rest = vec4f();
  @else var rest = state[4u * row + 2u];
  // A target before chunk_start wraps around to a large number and falls out as well.
  let column = targets[row] - chunk_start[0];
  if (column < columns) {
    let policy = capped(z[base + column]);
    rest = vec4f(rest.xy, policy, policy - capped(r[base + column]));
  }

  var own_largest = before;
  for (var c = first_element(local_index); c < columns; c += STEP) {
    own_largest = max(own_largest, streams(capped(z[base + c]), capped(r[base + c])));
  }
  let largest = row_max(own_largest, local_index);
  // The chunk's own sums first, as in token_logps_chunk_forward.
  var own_sums = vec4f();
  var own_growths = vec2f();
  for (var c = first_element(local_index); c < columns; c += STEP) {
    let policy = capped(z[base + c]);
    let reference = capped(r[base + c]);
    let terms = exp(streams(policy, reference) - largest);
    let step = E * (policy - reference);
    let a = policy - largest.x;
    own_sums += terms;
    own_growths += vec2f(growth(terms.x, a, step), growth(terms.x, a, -step));
    @if(WEIGHTS) z[base + c] = terms.x * capped_slope(policy);
  }
  let chunk_sums = row_sum(own_sums, local_index);
  let chunk_growths = row_sum(vec4f(own_growths, 0.0, 0.0), local_index).xy;
  if (writes_row(local_index)) {
    let rescale = exp(before - largest);
    state[4u * row] = largest;
    state[4u * row + 1u] = sums * rescale + chunk_sums;
    state[4u * row + 2u] = vec4f(rest.xy * rescale.x + chunk_growths, rest.zw);
    state[4u * row + 3u] = vec4f(0.0, 0.0, 0.0, before.x);
  }
}
