// What the tiled kernels of attention share: tiles of 32 x 32 scores in a workgroup of 64, for GPUs
//
//   Invocation (r, c) of an 8 x 8 grid makes 4 x 4 numbers of a tile, rows r + 8 n and columns c + 8 m: matrix[n][m]. Heads pass
//   through workgroup memory in chunks of 32 elements. Everything fits into the 16 KiB that every adapter has, and no
//   invocation ever holds a whole head, so that long heads do not spill.
//   Loops begin at `zero`: a constant, or with ROLLED a 0 that no compiler can know (`rolled`, attention-variants.ts).
import package::attention::attention_operands::SCALE;
import package::attention::attention_operands::k;
import package::attention::attention_operands::key_start;
import package::attention::attention_operands::q;
import package::attention::attention_operands::query_start;
import package::attention::attention_operands::token_count;
import package::attention::attention_operands::v;
import package::shared::grid::workgroup_index;
import constants::HEAD4;

/// Rows, and columns, of a tile.
const TILE = 32u;
const INVOCATIONS = 64u;
/// A chunk of a head, in vec4s, and how many chunks a head has; the last may be ragged.
const CHUNK = 8u;
const CHUNKS = (HEAD4 + CHUNK - 1u) / CHUNK;

// One element of padding a row: invocations of a column would wait for the same bank otherwise.
const PITCH = CHUNK + 1u;
const SCORE_PITCH = TILE + 1u;
var<workgroup> left: array<vec4f, TILE * PITCH>;
var<workgroup> right: array<vec4f, TILE * PITCH>;
var<workgroup> scores: array<f32, TILE * SCORE_PITCH>;
var<workgroup> flags: array<u32, TILE>;
var<workgroup> any_flag: u32;

/// The rows that a workgroup makes: tokens first .. first + TILE of one head of the result.
struct Rows { first: u32, head: u32 }

fn own_rows(workgroup: vec3u, workgroups: vec3u) -> Rows {
  let tiles = (token_count() + TILE - 1u) / TILE;
  let number = workgroup_index(workgroup, workgroups);
  return Rows((number % tiles) * TILE, number / tiles);
}

/// Tokens and elements past the end lie nowhere.
fn has_element(token: u32, d: u32) -> bool { return d < HEAD4 && token < token_count(); }

/// Vec4 d of a head, 0 past the end. Queries carry the factor of the scores.
fn query_at(token: u32, head: u32, d: u32) -> vec4f {
  if (!has_element(token, d)) { return vec4f(); }
  return SCALE * q[query_start(token, head) + d];
}
fn key_at(token: u32, kv_head: u32, d: u32) -> vec4f {
  if (!has_element(token, d)) { return vec4f(); }
  return k[key_start(token, kv_head) + d];
}
fn value_at(token: u32, kv_head: u32, d: u32) -> vec4f {
  if (!has_element(token, d)) { return vec4f(); }
  return v[key_start(token, kv_head) + d];
}

/// What the `part`-th of four vec4s that an invocation brings to a chunk is: (row of the tile, vec4 of the chunk).
fn brought(local_index: u32, part: u32) -> vec2u {
  let i = local_index + INVOCATIONS * part;
  return vec2u(i / CHUNK, i % CHUNK);
}
fn put_left(place: vec2u, value: vec4f) { left[place.x * PITCH + place.y] = value; }
fn put_right(place: vec2u, value: vec4f) { right[place.x * PITCH + place.y] = value; }

/// The columns of a tile from `first` on that an invocation makes numbers for.
fn own_columns(first: u32, local_index: u32) -> vec4u { return first + local_index % 8u + vec4u(0u, 8u, 16u, 24u); }

/// An invocation's part of left rightᵀ over the chunk that lies in workgroup memory.
fn products(local_index: u32, zero: u32) -> mat4x4f {
  let r = local_index / 8u;
  let c = local_index % 8u;
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

/// An invocation's part of scores right: for its four rows, four neighbouring elements of the chunk.
fn weighted(local_index: u32, zero: u32) -> mat4x4f {
  let r = local_index / 8u;
  let c = local_index % 8u;
  var sum = mat4x4f();
  for (var j = zero; j < TILE; j++) {
    let other = right[j * PITCH + c];
    for (var n = 0u; n < 4u; n++) { sum[n] += scores[(r + 8u * n) * SCORE_PITCH + j] * other; }
  }
  return sum;
}

/// Puts an invocation's 4 x 4 numbers into their places of the tile.
fn put_scores(local_index: u32, own: mat4x4f) {
  let place = (local_index / 8u) * SCORE_PITCH + local_index % 8u;
  for (var n = 0u; n < 4u; n++) {
    for (var m = 0u; m < 4u; m++) { scores[place + 8u * n * SCORE_PITCH + 8u * m] = own[n][m]; }
  }
}

/// Whether any of the first TILE invocations says so. All invocations must call it.
fn any_row(local_index: u32, own: bool) -> bool {
  if (local_index < TILE) { flags[local_index] = select(0u, 1u, own); }
  workgroupBarrier();
  if (local_index == 0u) {
    var found = 0u;
    for (var i = 0u; i < TILE; i++) { found |= flags[i]; }
    any_flag = found;
  }
  return workgroupUniformLoad(&any_flag) == 1u;
}
