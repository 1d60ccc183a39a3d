// What the kernels of attention on tensor cores share: a workgroup of four subgroups, each with MATRIX_M rows of scores
//
//   Rows are queries of one head, or keys of one kv head; columns the other of the two, COLUMNS at a time. What rows are
//   multiplied with stays in registers, as left matrices that pass through `tile` once. Columns lie in `tile`, f16
//   [COLUMNS, 4 * HEAD4], whole heads. Scores leave matrices through `scores`, where the invocations of a row, PARTS of them,
//   find them; what they make of them goes back as f16 through `weights`.
//   Heads are multiples of the matrices' edges; queries carry SCALE, gradients GRADIENT, so that small ones survive 16 bits.
//   Shared memory for matrices of 16 x 16 x 16: 19 KiB forward and 36 KiB for gradients with heads of 64, 31 and 46 KiB with 256.
//
//   q, dy: [T, HEADS * 4 * HEAD4] f32    k, v: [T, KV_HEADS * 4 * HEAD4] f32    dy: BACKWARD only
import constants::HEAD4;
import constants::MATRIX_K;
import constants::MATRIX_M;
import constants::MATRIX_N;
import constants::SUBGROUP;

override HEADS: u32;
override KV_HEADS: u32;
override SCALE: f32;

@group(0) @binding(0) var<storage, read> q: array<vec4f>;
@group(0) @binding(1) var<storage, read> k: array<vec4f>;
@group(0) @binding(2) var<storage, read> v: array<vec4f>;
@if(BACKWARD) @group(0) @binding(4) var<storage, read> dy: array<vec4f>;

/// The adapter's matrices.
const EDGE_M = u32(MATRIX_M);
const EDGE_N = u32(MATRIX_N);
const EDGE_K = u32(MATRIX_K);

const INVOCATIONS = 4u * SUBGROUP;
const ROWS = 4u * EDGE_M;
const COLUMNS = 32u;
/// Invocations of a row. A subgroup has at least as many invocations as a matrix has rows.
const PARTS = SUBGROUP / EDGE_M;
/// A power of two that gradients are multiplied by on their way into 16 bits.
const GRADIENT = 4096.0;

// Eight elements of padding (four in f32): neighbouring rows of a matrix then lie in different banks.
const PITCH = 4u * HEAD4 + 8u;
const SLICE_PITCH = EDGE_K + 8u;
const WEIGHT_PITCH = COLUMNS + 8u;
const SCORE_PITCH = COLUMNS + 4u;
var<workgroup> tile: array<f16, max(COLUMNS * PITCH, ROWS * SLICE_PITCH)>;
var<workgroup> scores: array<f32, ROWS * SCORE_PITCH>;
var<workgroup> weights: array<f16, ROWS * WEIGHT_PITCH>;
var<workgroup> flags: array<u32, 4>;
var<workgroup> any_flag: u32;

fn token_count() -> u32 { return arrayLength(&q) / (HEADS * HEAD4); }
fn query_place(token: u32, head: u32, d: u32) -> u32 { return (token * HEADS + head) * HEAD4 + d; }
fn key_place(token: u32, kv_head: u32, d: u32) -> u32 { return (token * KV_HEADS + kv_head) * HEAD4 + d; }

/// Vec4 d of a head, 0 past the last token.
fn query_at(token: u32, head: u32, d: u32) -> vec4f {
  if (token >= token_count()) { return vec4f(); }
  return SCALE * q[query_place(token, head, d)];
}
fn key_at(token: u32, kv_head: u32, d: u32) -> vec4f {
  if (token >= token_count()) { return vec4f(); }
  return k[key_place(token, kv_head, d)];
}
fn value_at(token: u32, kv_head: u32, d: u32) -> vec4f {
  if (token >= token_count()) { return vec4f(); }
  return v[key_place(token, kv_head, d)];
}
@if(BACKWARD) fn gradient_at(token: u32, head: u32, d: u32) -> vec4f {
  if (token >= token_count()) { return vec4f(); }
  return GRADIENT * dy[query_place(token, head, d)];
}

/// Puts four elements into `tile` from `at` on.
fn put(at: u32, x: vec4f) {
  let half = vec4<f16>(x);
  tile[at] = half.x;
  tile[at + 1u] = half.y;
  tile[at + 2u] = half.z;
  tile[at + 3u] = half.w;
}

/// Where vec4 i of a tile of columns goes, and what it is: (place in `tile`, column, vec4 of the head).
fn column_part(i: u32) -> vec3u {
  let column = i / HEAD4;
  let d = i % HEAD4;
  return vec3u(column * PITCH + 4u * d, column, d);
}
/// The same of a slice of rows, EDGE_K elements of the head from 4 * d on.
fn row_part(i: u32, d: u32) -> vec3u {
  let row = i / (EDGE_K / 4u);
  let d4 = i % (EDGE_K / 4u);
  return vec3u(row * SLICE_PITCH + 4u * d4, row, d + d4);
}
const COLUMN_PARTS = COLUMNS * HEAD4;
const ROW_PARTS = ROWS * EDGE_K / 4u;

/// The row of scores that an invocation works on, with PARTS others.
fn row_of(subgroup: u32, subgroup_lane: u32) -> u32 { return subgroup * EDGE_M + subgroup_lane / PARTS; }

/// Four neighbouring scores.
fn scores_at(at: u32) -> vec4f { return vec4f(scores[at], scores[at + 1u], scores[at + 2u], scores[at + 3u]); }
fn put_scores(at: u32, x: vec4f) {
  scores[at] = x.x;
  scores[at + 1u] = x.y;
  scores[at + 2u] = x.z;
  scores[at + 3u] = x.w;
}
fn put_weights(at: u32, x: vec4f) {
  let half = vec4<f16>(x);
  weights[at] = half.x;
  weights[at + 1u] = half.y;
  weights[at + 2u] = half.z;
  weights[at + 3u] = half.w;
}

/// The sum over the invocations of a row.
fn sum_of_row(own: f32) -> f32 {
  var sum = own;
  for (var m = 1u; m < PARTS; m *= 2u) { sum += subgroupShuffleXor(sum, m); }
  return sum;
}
fn max_of_row(own: f32) -> f32 {
  var largest = own;
  for (var m = 1u; m < PARTS; m *= 2u) { largest = max(largest, subgroupShuffleXor(largest, m)); }
  return largest;
}

/// Whether any invocation of the workgroup says so. All must call it.
fn any_invocation(subgroup: u32, subgroup_lane: u32, own: bool) -> bool {
  let found = subgroupAny(own);
  if (subgroup_lane == 0u) { flags[subgroup] = select(0u, 1u, found); }
  workgroupBarrier();
  if (subgroup == 0u && subgroup_lane == 0u) { any_flag = flags[0] | flags[1] | flags[2] | flags[3]; }
  return workgroupUniformLoad(&any_flag) == 1u;
}
