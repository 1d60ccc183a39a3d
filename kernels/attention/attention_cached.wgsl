// attention_cached: one query per sequence against the keys and values of its earlier tokens
//
//   y[b, h] = sum_j softmax_j(SCALE q[b, h] . keys[b, j, h / GROUP]) values[b, j, h / GROUP],   j <= positions[b]
//   and, with WINDOW, j > positions[b] - WINDOW (Mistral).   SOFTCAP: scores become cap * tanh(score / cap).
//
//   q, y: [B, HEADS * 4 * HEAD4] f32    keys, values: [B, LENGTH, KV_HEADS * 4 * HEAD4] f32    positions: [B] u32
//
// One invocation per (sequence, head), online softmax, no barriers; limited by reading the cache.
// ROLLED: loops over a head stay loops, since they begin at a 0 that no compiler can know (see attention.ts).
import package::shared::grid::invocation_index;
import package::shared::softcap::capped;
import constants::HEAD4;
import constants::WORKGROUP;

override HEADS: u32;
override KV_HEADS: u32;
override LENGTH: u32;
override SCALE: f32;
@if(WINDOWED) override WINDOW: u32;

@group(0) @binding(0) var<storage, read> q: array<vec4f>;
@group(0) @binding(1) var<storage, read> keys: array<vec4f>;
@group(0) @binding(2) var<storage, read> values: array<vec4f>;
@group(0) @binding(3) var<storage, read> positions: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let invocation = invocation_index(id, workgroups, WORKGROUP);
  if (invocation >= arrayLength(&positions) * HEADS) { return; }
  @if(ROLLED) let first = workgroups.z - 1u;
  @else const first = 0u;
  let sequence = invocation / HEADS;
  let head = invocation % HEADS;
  let kv_head = head / (HEADS / KV_HEADS);
  let position = positions[sequence];

  var query: array<vec4f, HEAD4>;
  var sum: array<vec4f, HEAD4>;
  for (var d = first; d < HEAD4; d++) { query[d] = SCALE * q[invocation * HEAD4 + d]; }

  var largest = -3.4e38;
  var total = 0.0;
  var oldest = 0u;
  @if(WINDOWED) oldest = position + 1u - min(position + 1u, WINDOW);
  for (var j = oldest; j <= position; j++) {
    let place = ((sequence * LENGTH + j) * KV_HEADS + kv_head) * HEAD4;
    var score = 0.0;
    for (var d = first; d < HEAD4; d++) { score += dot(query[d], keys[place + d]); }
    score = capped(score);
    let larger = max(largest, score);
    let shrink = exp(largest - larger);
    let weight = exp(score - larger);
    total = total * shrink + weight;
    for (var d = first; d < HEAD4; d++) { sum[d] = sum[d] * shrink + weight * values[place + d]; }
    largest = larger;
  }
  for (var d = first; d < HEAD4; d++) { y[invocation * HEAD4 + d] = sum[d] / total; }
}
