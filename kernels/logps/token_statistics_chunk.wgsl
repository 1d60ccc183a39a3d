// token_statistics_chunk: what a row's next-token distribution looks like, one vocabulary chunk after the other
//
//   p_v = exp(z_v - lse),  q_v likewise of the other stream:
//   entropy -= sum p_v log p_v     kl += sum p_v (log p_v - log q_v)     reverse += sum q_v (log q_v - log p_v)
//   rank += |{v: z_v > z_y, or z_v = z_y and v < y}|     top: the K most probable so far, ties by the lower id
//
//   z, other: [ROWS, C] f32 logits    lse, other_lse: [ROWS] f32, over the whole vocabulary    logps: [ROWS] f32, of the target
//   targets: [ROWS] u32    stats: [ROWS, 4 + 2 K] f32: entropy, kl, reverse, rank, then K times (id, log-prob)
//   FIRST starts them, otherwise they are continued. OTHER: there is another stream; without it kl and reverse are 0.
//
// One invocation per row, no barriers; for pages and evaluation, not for training steps.
import package::shared::grid::invocation_index;
import package::shared::softcap::capped;
import constants::WORKGROUP;
import constants::K;

override C: u32;
@group(0) @binding(0) var<storage, read> z: array<f32>;
@group(0) @binding(1) var<storage, read> lse: array<f32>;
@group(0) @binding(2) var<storage, read> logps: array<f32>;
@group(0) @binding(3) var<storage, read> targets: array<u32>;
@group(0) @binding(4) var<storage, read_write> stats: array<f32>;
@group(0) @binding(5) var<storage, read> chunk_start: array<u32>;
@if(OTHER) @group(0) @binding(6) var<storage, read> other: array<f32>;
@if(OTHER) @group(0) @binding(7) var<storage, read> other_lse: array<f32>;

const STRIDE = 4u + 2u * K;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let row = invocation_index(id, workgroups, WORKGROUP);
  if (row >= arrayLength(&lse)) { return; }
  let own = row * STRIDE;
  var best: array<vec2f, K>;
  for (var i = 0u; i < K; i++) {
    @if(FIRST) best[i] = vec2f(0.0, -3.4e38);
    @else best[i] = vec2f(stats[own + 4u + 2u * i], stats[own + 5u + 2u * i]);
  }
  // The chunk's own sums; they join those before it at the end, as in token_logps_chunk_forward.
  var s = vec4f();
  for (var c = 0u; c < C; c++) {
    let v = chunk_start[0] + c;
    let logp = capped(z[row * C + c]) - lse[row];
    let p = exp(logp);
    s.x -= p * logp;
    @if(OTHER) {
      let logq = capped(other[row * C + c]) - other_lse[row];
      s.y += p * (logp - logq);
      s.z += exp(logq) * (logq - logp);
    }
    if (v != targets[row] && (logp > logps[row] || (logp == logps[row] && v < targets[row]))) { s.w += 1.0; }
    // Words come in order of their ids, so that only a strictly larger one pushes another out.
    if (logp > best[K - 1u].y) {
      var i = K - 1u;
      while (i > 0u && logp > best[i - 1u].y) {
        best[i] = best[i - 1u];
        i--;
      }
      best[i] = vec2f(f32(v), logp);
    }
  }
  for (var i = 0u; i < 4u; i++) {
    @if(FIRST) stats[own + i] = s[i];
    @else stats[own + i] += s[i];
  }
  for (var i = 0u; i < K; i++) {
    stats[own + 4u + 2u * i] = best[i].x;
    stats[own + 5u + 2u * i] = best[i].y;
  }
}
