// epsilon_logps_chunk_forward: one step of a row's online softmaxes over a vocabulary chunk of two logit streams, z (policy)
// and r (reference), with what a perturbation of the policy does to its normaliser
//
//   d = z - r;   S = sum exp(z - m), R = sum exp(r - n);   A+- = sum exp(z - m) expm1(+-E d)
//
//   The perturbed streams z +- E d differ from z by little: their log-probs are kept as differences from the policy's, in
//   which nothing cancels. Where z = r everywhere, A+ = A- = 0 exactly.
//
//   z, r: [ROWS, C] f32    targets: [ROWS] u32    state: [ROWS, 2] vec4f, (m, S, A+, A-) and (n, R, z_y, d_y)
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

/// w expm1(x) with w = exp(a), a <= 0; finite also where expm1(x) alone is not.
fn growth(w: f32, a: f32, x: f32) -> f32 {
  if (abs(x) <= 0.5) { return w * expm1(x); }
  return exp(min(a + x, 80.0)) - w;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let row = invocation_index(id, workgroups, WORKGROUP);
  if (row >= arrayLength(&targets)) { return; }
  @if(FIRST) var policy = vec4f(-3.4e38, 0.0, 0.0, 0.0);
  @else var policy = state[2u * row];
  @if(FIRST) var reference = vec4f(-3.4e38, 0.0, 0.0, 0.0);
  @else var reference = state[2u * row + 1u];
  let base = row * C;

  var m = policy.x;
  var n = reference.x;
  for (var c = base; c < base + C; c++) {
    m = max(m, capped(z[c]));
    n = max(n, capped(r[c]));
  }
  var sums = policy.yzw * exp(policy.x - m);
  var sum = reference.y * exp(reference.x - n);
  for (var c = base; c < base + C; c++) {
    let zc = capped(z[c]);
    let rc = capped(r[c]);
    let step = E * (zc - rc);
    let w = exp(zc - m);
    sums += vec3f(w, growth(w, zc - m, step), growth(w, zc - m, -step));
    sum += exp(rc - n);
  }
  let column = targets[row] - chunk_start[0];
  if (targets[row] >= chunk_start[0] && column < C) {
    reference.z = capped(z[base + column]);
    reference.w = reference.z - capped(r[base + column]);
  }
  state[2u * row] = vec4f(m, sums);
  state[2u * row + 1u] = vec4f(n, sum, reference.zw);
}
