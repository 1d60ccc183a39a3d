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
// sum of values, an invocation to each vec4 of the head. Otherwise an invocation to each (row, head of keys) makes the GROUP heads
// that share its keys: online softmax, no barriers, for CPU adapters. Limited by reading the cache.
// SPLIT, for ROW_PER_WORKGROUP only: a workgroup to each chunk of a (row, head), see paged_tokens.wgsl. y: [R, HEADS, CHUNKS, 4 * HEAD4] is not
// divided yet, and stats: [R, HEADS, CHUNKS] vec2f has the largest score and the sum of weights, for attention_paged_fold.
// ROLLED: loops over a head stay loops, since they begin at a 0 that no compiler can know (see attention.ts).
import package::attention::paged_cache::BLOCK;
import package::attention::paged_cache::HEADS;
import package::attention::paged_cache::KV_HEADS;
import package::attention::paged_cache::SCALE;
import package::attention::paged_cache::cache_row;
import package::attention::paged_cache::keys;
import package::attention::paged_cache::places;
import package::attention::paged_cache::q;
@if(SPLIT) import package::attention::paged_cache::stats;
import package::attention::paged_cache::tables;
import package::attention::paged_cache::values;
import package::attention::paged_cache::y;
import package::attention::paged_tokens::chunk_at;
import package::attention::paged_tokens::end_token;
import package::attention::paged_tokens::first_token;
import package::attention::paged_tokens::oldest;
import package::attention::paged_tokens::unit_at;
import package::shared::grid::workgroup_index;
import package::shared::rows::row_max;
import package::shared::rows::row_sum;
import package::shared::softcap::capped;
import constants::GROUP;
import constants::HEAD4;
import constants::WORKGROUP;

/// Where the key (and the value) of token j begins, in vec4.
@if(ROW_PER_WORKGROUP) fn place_of(row: u32, j: u32, kv_head: u32) -> u32 {
  return (cache_row(row, j) * KV_HEADS + kv_head) * HEAD4;
}

@if(ROW_PER_WORKGROUP) var<workgroup> scores: array<f32, WORKGROUP>;
@if(ROW_PER_WORKGROUP) var<workgroup> starts: array<u32, WORKGROUP>;

@if(ROW_PER_WORKGROUP)
@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local_index: u32,
) {
  let i = workgroup_index(workgroup, workgroups);
  let unit = unit_at(i);
  if (unit >= arrayLength(&places) * HEADS) { return; }
  let first = workgroups.z - 1u;
  let row = unit / HEADS;
  let kv_head = (unit % HEADS) / (HEADS / KV_HEADS);
  let position = places[row].x;
  let begin = first_token(position, chunk_at(i));
  if (begin > position) { return; }
  let end = end_token(position, chunk_at(i));

  var sum = vec4f();
  var largest = -3.4e38;
  var total = 0.0;
  for (var tile = begin; tile < end; tile += WORKGROUP) {
    let j = tile + local_index;
    var score = -3.4e38;
    if (j < end) {
      let start = place_of(row, j, kv_head);
      starts[local_index] = start;
      var product = 0.0;
      for (var d = first; d < HEAD4; d++) { product += dot(q[unit * HEAD4 + d], keys[start + d]); }
      score = capped(SCALE * product);
    }
    let larger = max(largest, row_max(vec4f(score), local_index).x);
    let weight = select(0.0, exp(score - larger), j < end);
    scores[local_index] = weight;
    let shrink = exp(largest - larger);
    total = total * shrink + row_sum(vec4f(weight), local_index).x;
    largest = larger;
    if (local_index < HEAD4) {
      sum *= shrink;
      let count = min(WORKGROUP, end - tile);
      for (var n = 0u; n < count; n++) { sum += scores[n] * values[starts[n] + local_index]; }
    }
    workgroupBarrier();
  }
  @if(!SPLIT) { if (local_index < HEAD4) { y[unit * HEAD4 + local_index] = sum / total; } }
  @if(SPLIT) {
    if (local_index < HEAD4) { y[i * HEAD4 + local_index] = sum; }
    if (local_index == 0u) { stats[i] = vec2f(largest, total); }
  }
}

@if(!ROW_PER_WORKGROUP)
@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local_index: u32,
) {
  let unit = workgroup_index(workgroup, workgroups) * WORKGROUP + local_index;
  if (unit >= arrayLength(&places) * KV_HEADS) { return; }
  @if(ROLLED) let first = workgroups.z - 1u;
  @else const first = 0u;
  let row = unit / KV_HEADS;
  let kv_head = unit % KV_HEADS;
  let place = places[row];
  let table = row * (arrayLength(&tables) / arrayLength(&places));
  // Head g of the group begins at g * HEAD4.
  let start_q = (row * HEADS + kv_head * GROUP) * HEAD4;

  var query: array<vec4f, GROUP * HEAD4>;
  var sum: array<vec4f, GROUP * HEAD4>;
  for (var i = first; i < GROUP * HEAD4; i++) { query[i] = SCALE * q[start_q + i]; }
  var largest: array<f32, GROUP>;
  var total: array<f32, GROUP>;
  for (var g = 0u; g < GROUP; g++) { largest[g] = -3.4e38; }
  for (var j = oldest(place.x); j <= place.x; j++) {
    let u = select(j, j + place.z, j >= place.y);
    let start = ((tables[table + u / BLOCK] * BLOCK + u % BLOCK) * KV_HEADS + kv_head) * HEAD4;
    var scores = array<f32, GROUP>();
    for (var d = first; d < HEAD4; d++) {
      let key = keys[start + d];
      for (var g = 0u; g < GROUP; g++) { scores[g] += dot(query[g * HEAD4 + d], key); }
    }
    var shrink: array<f32, GROUP>;
    var weight: array<f32, GROUP>;
    for (var g = 0u; g < GROUP; g++) {
      // Of exp(largest - larger) and exp(score - larger) one is always 1.
      let score = capped(scores[g]);
      let is_larger = score > largest[g];
      let smaller = exp(-abs(score - largest[g]));
      shrink[g] = select(1.0, smaller, is_larger);
      weight[g] = select(smaller, 1.0, is_larger);
      total[g] = total[g] * shrink[g] + weight[g];
      largest[g] = max(largest[g], score);
    }
    for (var d = first; d < HEAD4; d++) {
      let value = values[start + d];
      for (var g = 0u; g < GROUP; g++) {
        let i = g * HEAD4 + d;
        sum[i] = sum[i] * shrink[g] + weight[g] * value;
      }
    }
  }
  for (var g = 0u; g < GROUP; g++) {
    for (var d = first; d < HEAD4; d++) { y[start_q + g * HEAD4 + d] = sum[g * HEAD4 + d] / total[g]; }
  }
}
