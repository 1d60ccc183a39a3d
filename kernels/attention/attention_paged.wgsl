// attention_paged: one query per row against the keys and values of its earlier tokens, which lie in blocks
//
//   y[r, h] = sum_j softmax_j(SCALE q[r, h] . key_j) value_j   over the tokens j <= position[r] of row r;
//   WINDOWED: and j > position[r] - WINDOW.   SOFTCAP: scores become cap * tanh(s / cap).
//   Token j of row r lies in the cache at row  tables[r, u / BLOCK] * BLOCK + u % BLOCK,  u = j, or j + gap[r] for
//   j >= shared[r]: tokens of its own begin a block of their own behind the shared prefix.
//
//   q, y: [R, HEADS * 4 * HEAD4] f32    keys, values: [cache rows, KV_HEADS * 4 * HEAD4] f32
//   places: [R] vec4u (position, shared, gap, unused)    tables: [R, width] u32
//
// ROW_PER_WORKGROUP: a workgroup to each (row, head). WORKGROUP keys at a time: a score to each invocation, then the weighted
// sum of values, an invocation to each vec4 of the head. Otherwise an invocation to each (row, head), online softmax, no
// barriers, for CPU adapters. Limited by reading the cache.
// ROLLED: loops over a head stay loops, since they begin at a 0 that no compiler can know (see attention.ts).
import package::shared::grid::workgroup_index;
import package::shared::softcap::capped;
import constants::HEAD4;
import constants::WORKGROUP;

override HEADS: u32;
override KV_HEADS: u32;
override SCALE: f32;
override BLOCK: u32;
@if(WINDOWED) override WINDOW: u32;

@group(0) @binding(0) var<storage, read> q: array<vec4f>;
@group(0) @binding(1) var<storage, read> keys: array<vec4f>;
@group(0) @binding(2) var<storage, read> values: array<vec4f>;
@group(0) @binding(3) var<storage, read> places: array<vec4u>;
@group(0) @binding(4) var<storage, read> tables: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;

/// Where the key (and the value) of token j begins, in vec4.
fn place_of(row: u32, j: u32, kv_head: u32) -> u32 {
  let u = select(j, j + places[row].z, j >= places[row].y);
  let width = arrayLength(&tables) / arrayLength(&places);
  let cache_row = tables[row * width + u / BLOCK] * BLOCK + u % BLOCK;
  return (cache_row * KV_HEADS + kv_head) * HEAD4;
}

/// The first token that a query at `position` sees.
fn oldest(position: u32) -> u32 {
  @if(WINDOWED) return position + 1u - min(position + 1u, WINDOW);
  @else return 0u;
}

@if(ROW_PER_WORKGROUP) var<workgroup> scores: array<f32, WORKGROUP>;
@if(ROW_PER_WORKGROUP) var<workgroup> folded: array<f32, WORKGROUP>;
@if(ROW_PER_WORKGROUP) var<workgroup> starts: array<u32, WORKGROUP>;

@if(ROW_PER_WORKGROUP)
@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local_index: u32,
) {
  let unit = workgroup_index(workgroup, workgroups);
  if (unit >= arrayLength(&places) * HEADS) { return; }
  let first = workgroups.z - 1u;
  let row = unit / HEADS;
  let kv_head = (unit % HEADS) / (HEADS / KV_HEADS);
  let position = places[row].x;

  var sum = vec4f();
  var largest = -3.4e38;
  var total = 0.0;
  for (var tile = oldest(position); tile <= position; tile += WORKGROUP) {
    let j = tile + local_index;
    var score = -3.4e38;
    if (j <= position) {
      let start = place_of(row, j, kv_head);
      starts[local_index] = start;
      var product = 0.0;
      for (var d = first; d < HEAD4; d++) { product += dot(q[unit * HEAD4 + d], keys[start + d]); }
      score = capped(SCALE * product);
    }
    folded[local_index] = score;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
      if (local_index < half) { folded[local_index] = max(folded[local_index], folded[local_index + half]); }
      workgroupBarrier();
    }
    let larger = max(largest, folded[0]);
    workgroupBarrier();
    let weight = select(0.0, exp(score - larger), j <= position);
    scores[local_index] = weight;
    folded[local_index] = weight;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
      if (local_index < half) { folded[local_index] += folded[local_index + half]; }
      workgroupBarrier();
    }
    let shrink = exp(largest - larger);
    total = total * shrink + folded[0];
    largest = larger;
    if (local_index < HEAD4) {
      sum *= shrink;
      let count = min(WORKGROUP, position + 1u - tile);
      for (var i = 0u; i < count; i++) { sum += scores[i] * values[starts[i] + local_index]; }
    }
    workgroupBarrier();
  }
  if (local_index < HEAD4) { y[unit * HEAD4 + local_index] = sum / total; }
}

@if(!ROW_PER_WORKGROUP)
@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local_index: u32,
) {
  let unit = workgroup_index(workgroup, workgroups) * WORKGROUP + local_index;
  if (unit >= arrayLength(&places) * HEADS) { return; }
  @if(ROLLED) let first = workgroups.z - 1u;
  @else const first = 0u;
  let row = unit / HEADS;
  let kv_head = (unit % HEADS) / (HEADS / KV_HEADS);
  let position = places[row].x;

  var query: array<vec4f, HEAD4>;
  var sum: array<vec4f, HEAD4>;
  for (var d = first; d < HEAD4; d++) { query[d] = SCALE * q[unit * HEAD4 + d]; }
  var largest = -3.4e38;
  var total = 0.0;
  for (var j = oldest(position); j <= position; j++) {
    let start = place_of(row, j, kv_head);
    var score = 0.0;
    for (var d = first; d < HEAD4; d++) { score += dot(query[d], keys[start + d]); }
    score = capped(score);
    let larger = max(largest, score);
    let shrink = exp(largest - larger);
    let weight = exp(score - larger);
    total = total * shrink + weight;
    for (var d = first; d < HEAD4; d++) { sum[d] = sum[d] * shrink + weight * values[start + d]; }
    largest = larger;
  }
  for (var d = first; d < HEAD4; d++) { y[unit * HEAD4 + d] = sum[d] / total; }
}
