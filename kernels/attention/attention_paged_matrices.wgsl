// attention_paged_matrices: attention_paged on tensor cores, a workgroup to each row and up to MATRIX_M of the heads that share its keys
//
//   Bindings, results and SPLIT are those of attention_paged; operands are rounded to f16, sums are f32. Heads are the rows of matrices, those
//   that are missing are zeros: a group's keys and values are read once for all of its heads. A tile is a matrix of keys to each of
//   SUBGROUPS subgroups. Scores go through shared memory, where the invocations of a head, PARTS of them, mask, cap and exponentiate
//   them, and scale what the head has summed up when its largest score grows; sums lie in shared memory between tiles.
//   Tiles begin with the first token that the row sees: it gets the same bits in any batch. Four barriers a tile; limited by reading
//   the cache. Shared memory for matrices of 16 x 16 x 16: 22 KiB with heads of 64, 36 with 128, 45 with 256 by two subgroups.
//   attention_paged_matrices.raw.wgsl holds the entry point.
import package::attention::paged_cache::HEADS;
import package::attention::paged_cache::KV_HEADS;
import package::attention::paged_cache::SCALE;
import package::attention::paged_cache::cache_row;
import package::attention::paged_cache::keys;
import package::attention::paged_cache::places;
import package::attention::paged_cache::q;
@if(SPLIT) import package::attention::paged_cache::stats;
import package::attention::paged_cache::values;
import package::attention::paged_cache::y;
@if(SPLIT) import package::attention::paged_tokens::CHUNKS;
import package::attention::paged_tokens::chunk_at;
import package::attention::paged_tokens::end_token;
import package::attention::paged_tokens::first_token;
import package::attention::paged_tokens::unit_at;
import package::shared::grid::workgroup_index;
import package::shared::softcap::capped4;
import constants::GROUP;
import constants::HEAD4;
import constants::MATRIX_K;
import constants::MATRIX_M;
import constants::MATRIX_N;
import constants::SUBGROUP;
import constants::SUBGROUPS;

enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

/// The adapter's matrices.
const EDGE_M = u32(MATRIX_M);
const EDGE_N = u32(MATRIX_N);
const EDGE_K = u32(MATRIX_K);

const INVOCATIONS = u32(SUBGROUPS) * SUBGROUP;
const HEAD = 4u * HEAD4;
const KEYS = u32(SUBGROUPS) * EDGE_N;
/// Invocations of a head; a subgroup has all of them.
const PARTS = INVOCATIONS / EDGE_M;
/// Matrices side by side in a head, and how many of them a subgroup makes. Of the last round, some are made twice and dropped.
const STRIPS = HEAD / EDGE_N;
const ROUNDS = (STRIPS + SUBGROUPS - 1u) / SUBGROUPS;
/// Workgroups for the heads of one group.
const HEAD_BLOCKS = (GROUP + EDGE_M - 1u) / EDGE_M;

// Eight elements of padding (four in f32): neighbouring rows of a matrix then lie in different banks.
const PITCH = HEAD + 8u;
const SCORE_PITCH = KEYS + 4u;
const WEIGHT_PITCH = KEYS + 8u;
const SUM_PITCH = ROUNDS * SUBGROUPS * EDGE_N + 4u;
var<workgroup> queries: array<f16, EDGE_M * PITCH>;
/// Keys, then values of a tile.
var<workgroup> tile: array<f16, KEYS * PITCH>;
var<workgroup> scores: array<f32, EDGE_M * SCORE_PITCH>;
var<workgroup> weights: array<f16, EDGE_M * WEIGHT_PITCH>;
var<workgroup> sums: array<f32, EDGE_M * SUM_PITCH>;

/// What a score is where nothing is seen; its exponential is 0.
const UNSEEN = -3.4e38;

// What an invocation knows of its head: the largest score is that of all its invocations, the sum of weights its own share.
var<private> largest = UNSEEN;
var<private> total = 0.0;

/// What a workgroup makes: a row, the head of its keys, the first of the heads within the group, and of the row's tokens those from
/// `begin` to `end`.
struct Unit { row: u32, kv_head: u32, first: u32, chunk: u32, begin: u32, end: u32 }

/// Units of workgroups that a folded grid has too many of, and of idle chunks, have no tokens.
fn unit_of(workgroup: vec3u, workgroups: vec3u) -> Unit {
  let i = workgroup_index(workgroup, workgroups);
  let row = unit_at(i) / (KV_HEADS * HEAD_BLOCKS);
  let head = unit_at(i) % (KV_HEADS * HEAD_BLOCKS);
  let position = places[min(row, arrayLength(&places) - 1u)].x;
  let begin = first_token(position, chunk_at(i));
  let end = select(begin, end_token(position, chunk_at(i)), row < arrayLength(&places) && begin <= position);
  return Unit(row, head / HEAD_BLOCKS, head % HEAD_BLOCKS * EDGE_M, chunk_at(i), begin, end);
}

/// The place of a head of the unit among those of all rows.
fn head_of(unit: Unit, head: u32) -> u32 {
  return unit.row * HEADS + unit.kv_head * GROUP + unit.first + head;
}

/// Stages the queries, 0 for heads that the group does not have, and clears the sums.
fn begin(unit: Unit, lane: u32) {
  for (var i = lane; i < EDGE_M * HEAD4; i += INVOCATIONS) {
    let head = i / HEAD4;
    var query = vec4f();
    if (unit.first + head < GROUP) { query = SCALE * q[head_of(unit, head) * HEAD4 + i % HEAD4]; }
    let at = head * PITCH + 4u * (i % HEAD4);
    let half = vec4<f16>(query);
    queries[at] = half.x;
    queries[at + 1u] = half.y;
    queries[at + 2u] = half.z;
    queries[at + 3u] = half.w;
  }
  for (var i = lane; i < EDGE_M * SUM_PITCH; i += INVOCATIONS) { sums[i] = 0.0; }
}

/// Where vec4 i of a tile from token `key` on lies in the cache. Tokens past the last have its place: their weights are 0.
fn cache_place(unit: Unit, key: u32, i: u32) -> u32 {
  return (cache_row(unit.row, min(key + i / HEAD4, unit.end - 1u)) * KV_HEADS + unit.kv_head) * HEAD4 + i % HEAD4;
}
fn put(i: u32, x: vec4f) {
  let at = i / HEAD4 * PITCH + 4u * (i % HEAD4);
  let half = vec4<f16>(x);
  tile[at] = half.x;
  tile[at + 1u] = half.y;
  tile[at + 2u] = half.z;
  tile[at + 3u] = half.w;
}
fn stage_keys(unit: Unit, key: u32, lane: u32) {
  for (var i = lane; i < KEYS * HEAD4; i += INVOCATIONS) { put(i, keys[cache_place(unit, key, i)]); }
}
fn stage_values(unit: Unit, key: u32, lane: u32) {
  for (var i = lane; i < KEYS * HEAD4; i += INVOCATIONS) { put(i, values[cache_place(unit, key, i)]); }
}

/// Turns the scores of a tile's keys into weights, and scales what the heads have summed up.
fn weigh(unit: Unit, key: u32, lane: u32) {
  let head = lane / PARTS;
  let part = 4u * (lane % PARTS);
  let start = head * SCORE_PITCH;
  var own = vec4f(largest);
  for (var c = part; c < KEYS; c += 4u * PARTS) {
    let at = start + c;
    let score = capped4(vec4f(scores[at], scores[at + 1u], scores[at + 2u], scores[at + 3u]));
    own = max(own, select(vec4f(UNSEEN), score, key + c + vec4u(0u, 1u, 2u, 3u) < vec4u(unit.end)));
  }
  let larger = max_of_head(max(max(own.x, own.y), max(own.z, own.w)));
  let shrink = exp(largest - larger);
  largest = larger;
  var sum = vec4f();
  for (var c = part; c < KEYS; c += 4u * PARTS) {
    let at = start + c;
    let score = capped4(vec4f(scores[at], scores[at + 1u], scores[at + 2u], scores[at + 3u]));
    let is_seen = key + c + vec4u(0u, 1u, 2u, 3u) < vec4u(unit.end);
    let weight = select(vec4f(), exp(score - larger), is_seen);
    let half = vec4<f16>(weight);
    let to = head * WEIGHT_PITCH + c;
    weights[to] = half.x;
    weights[to + 1u] = half.y;
    weights[to + 2u] = half.z;
    weights[to + 3u] = half.w;
    sum += weight;
  }
  total = total * shrink + (sum.x + sum.y) + (sum.z + sum.w);
  if (shrink != 1.0) {
    for (var c = part / 4u; c < HEAD; c += PARTS) { sums[head * SUM_PITCH + c] *= shrink; }
  }
}

fn finish(unit: Unit, lane: u32) {
  let head = lane / PARTS;
  let all = sum_of_head(total);
  if (unit.first + head >= GROUP) { return; }
  @if(!SPLIT) let to = head_of(unit, head);
  @if(SPLIT) let to = head_of(unit, head) * CHUNKS + unit.chunk;
  for (var d = lane % PARTS; d < HEAD4; d += PARTS) {
    let at = head * SUM_PITCH + 4u * d;
    let sum = vec4f(sums[at], sums[at + 1u], sums[at + 2u], sums[at + 3u]);
    @if(!SPLIT) y[to * HEAD4 + d] = sum / all;
    @if(SPLIT) y[to * HEAD4 + d] = sum;
  }
  @if(SPLIT) { if (lane % PARTS == 0u) { stats[to] = vec2f(largest, all); } }
}

/// Over the invocations of a head.
fn max_of_head(own: f32) -> f32 {
  var most = own;
  for (var m = 1u; m < PARTS; m *= 2u) { most = max(most, subgroupShuffleXor(most, m)); }
  return most;
}
fn sum_of_head(own: f32) -> f32 {
  var sum = own;
  for (var m = 1u; m < PARTS; m *= 2u) { sum += subgroupShuffleXor(sum, m); }
  return sum;
}
