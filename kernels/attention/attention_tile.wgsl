// What the tiled kernels of attention share: tiles of 32 x 32 scores in a workgroup of 64, for GPUs.
//
//   Lane (r, c) of an 8 x 8 grid makes 4 x 4 numbers of a tile, rows r + 8 n and columns c + 8 m: matrix[n][m]. Heads pass
//   through workgroup memory in chunks of 32 elements. Everything fits into the 16 KiB that every adapter has, and no lane
//   ever holds a whole head, so that long heads do not spill.
//   Loops begin at `zero`: a constant, or with ROLLED a 0 that no compiler can know (see attention.ts).
//
//   q, dy: [T, HEADS * 4 * HEAD4] f32    k, v: [T, KV_HEADS * 4 * HEAD4] f32    dy: BACKWARD only
import constants::HEAD4;

override HEADS: u32;
override KV_HEADS: u32;
override SCALE: f32;

@group(0) @binding(0) var<storage, read> q: array<vec4f>;
@group(0) @binding(1) var<storage, read> k: array<vec4f>;
@group(0) @binding(2) var<storage, read> v: array<vec4f>;
@if(BACKWARD) @group(0) @binding(4) var<storage, read> dy: array<vec4f>;

/// Rows, and columns, of a tile.
const TILE = 32u;
const LANES = 64u;
/// A chunk of a head, in vec4s, and how many chunks a head has; the last may be ragged.
const CHUNK = 8u;
const CHUNKS = (HEAD4 + CHUNK - 1u) / CHUNK;

// One element of padding a row: lanes of a column would wait for the same bank otherwise.
const PITCH = CHUNK + 1u;
const SCORE_PITCH = TILE + 1u;
var<workgroup> left: array<vec4f, TILE * PITCH>;
var<workgroup> right: array<vec4f, TILE * PITCH>;
var<workgroup> scores: array<f32, TILE * SCORE_PITCH>;
var<workgroup> flags: array<u32, TILE>;
var<workgroup> any_flag: u32;

fn token_count() -> u32 { return arrayLength(&q) / (HEADS * HEAD4); }

/// Where vec4 d of a head of a token lies; tokens and elements past the end have none.
fn has_element(token: u32, d: u32) -> bool { return d < HEAD4 && token < token_count(); }
fn query_place(token: u32, head: u32, d: u32) -> u32 { return (token * HEADS + head) * HEAD4 + d; }
fn key_place(token: u32, kv_head: u32, d: u32) -> u32 { return (token * KV_HEADS + kv_head) * HEAD4 + d; }

/// Vec4 d of a head, 0 past the end. Queries carry the factor of the scores.
fn query_at(token: u32, head: u32, d: u32) -> vec4f {
  if (!has_element(token, d)) { return vec4f(); }
  return SCALE * q[query_place(token, head, d)];
}
fn key_at(token: u32, kv_head: u32, d: u32) -> vec4f {
  if (!has_element(token, d)) { return vec4f(); }
  return k[key_place(token, kv_head, d)];
}
fn value_at(token: u32, kv_head: u32, d: u32) -> vec4f {
  if (!has_element(token, d)) { return vec4f(); }
  return v[key_place(token, kv_head, d)];
}
@if(BACKWARD) fn gradient_at(token: u32, head: u32, d: u32) -> vec4f {
  if (!has_element(token, d)) { return vec4f(); }
  return dy[query_place(token, head, d)];
}

/// What the `part`-th of four vec4s that a lane brings to a chunk is: (row of the tile, vec4 of the chunk).
fn brought(lane: u32, part: u32) -> vec2u {
  let i = lane + LANES * part;
  return vec2u(i / CHUNK, i % CHUNK);
}
fn put_left(place: vec2u, value: vec4f) { left[place.x * PITCH + place.y] = value; }
fn put_right(place: vec2u, value: vec4f) { right[place.x * PITCH + place.y] = value; }

/// A lane's part of left rightᵀ over the chunk that lies in workgroup memory.
fn products(lane: u32, zero: u32) -> mat4x4f {
  let r = lane / 8u;
  let c = lane % 8u;
  var sum = mat4x4f();
  for (var d = zero; d < CHUNK; d++) {
    let column0 = right[c * PITCH + d];
    let column1 = right[(c + 8u) * PITCH + d];
    let column2 = right[(c + 16u) * PITCH + d];
    let column3 = right[(c + 24u) * PITCH + d];
    for (var n = 0u; n < 4u; n++) {
      let row = left[(r + 8u * n) * PITCH + d];
      sum[n] += vec4f(dot(row, column0), dot(row, column1), dot(row, column2), dot(row, column3));
    }
  }
  return sum;
}

/// A lane's part of scores right: for its four rows, four neighbouring elements of the chunk.
fn weighted(lane: u32, zero: u32) -> mat4x4f {
  let r = lane / 8u;
  let c = lane % 8u;
  var sum = mat4x4f();
  for (var j = zero; j < TILE; j++) {
    let other = right[j * PITCH + c];
    for (var n = 0u; n < 4u; n++) { sum[n] += scores[(r + 8u * n) * SCORE_PITCH + j] * other; }
  }
  return sum;
}

/// Puts a lane's 4 x 4 numbers into their places of the tile.
fn put_scores(lane: u32, own: mat4x4f) {
  let place = (lane / 8u) * SCORE_PITCH + lane % 8u;
  for (var n = 0u; n < 4u; n++) {
    for (var m = 0u; m < 4u; m++) { scores[place + 8u * n * SCORE_PITCH + 8u * m] = own[n][m]; }
  }
}

/// Whether any of the first TILE lanes says so. All lanes must call it.
fn any_row(lane: u32, own: bool) -> bool {
  if (lane < TILE) { flags[lane] = select(0u, 1u, own); }
  workgroupBarrier();
  if (lane == 0u) {
    var found = 0u;
    for (var i = 0u; i < TILE; i++) { found |= flags[i]; }
    any_flag = found;
  }
  return workgroupUniformLoad(&any_flag) == 1u;
}
