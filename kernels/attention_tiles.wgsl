// What the tiled kernels of attention share: tiles of 32 x 32 scores in a workgroup of 64, for GPUs.
//
//   Lane (r, c) of an 8 x 8 grid makes 4 x 4 numbers of a tile, rows r + 8 n and columns c + 8 m: matrix[n][m]. Heads pass
//   through workgroup memory in chunks of 32 elements. Everything fits into the 16 KiB that every adapter has, and no lane
//   ever holds a whole head, so that long heads do not spill.
//   Loops begin at `zero`: a constant, or with ROLLED a 0 that no compiler can know (see attention.ts).
import constants::HEAD4;

/// Rows, and columns, of a tile.
const TILE = 32u;
const LANES = 64u;
/// A chunk of a head, in vec4s, and how many chunks a head has; the last may be ragged.
const CHUNK = 8u;
const CHUNKS = (HEAD4 + CHUNK - 1u) / CHUNK;
/// What a score is where nothing is seen; its exponential counts as 0.
const UNSEEN = -3.4e38;

// One element of padding a row: lanes of a column would wait for the same bank otherwise.
const PITCH = CHUNK + 1u;
const SCORE_PITCH = TILE + 1u;
var<workgroup> left: array<vec4f, TILE * PITCH>;
var<workgroup> right: array<vec4f, TILE * PITCH>;
var<workgroup> scores: array<f32, TILE * SCORE_PITCH>;
var<workgroup> flags: array<u32, TILE>;
var<workgroup> any_flag: u32;

/// Where the `part`-th of four vec4s that a lane brings to a chunk belongs: (row of the tile, vec4 of the chunk).
fn brought(lane: u32, part: u32) -> vec2u {
  let i = lane + LANES * part;
  return vec2u(i / CHUNK, i % CHUNK);
}

/// A lane's part of left rightᵀ over the chunk that lies in workgroup memory.
fn products(lane: u32, zero: u32) -> mat4x4f {
  let r = lane / 8u;
  let c = lane % 8u;
  var sum = mat4x4f();
  for (var k = zero; k < CHUNK; k++) {
    let a = right[c * PITCH + k];
    let b = right[(c + 8u) * PITCH + k];
    let e = right[(c + 16u) * PITCH + k];
    let f = right[(c + 24u) * PITCH + k];
    for (var n = 0u; n < 4u; n++) {
      let own = left[(r + 8u * n) * PITCH + k];
      sum[n] += vec4f(dot(own, a), dot(own, b), dot(own, e), dot(own, f));
    }
  }
  return sum;
}

/// A lane's part of scores right: for its four rows, four neighbouring elements of the chunk.
fn weighted(lane: u32, zero: u32) -> mat4x4f {
  let r = lane / 8u;
  let c = lane % 8u;
  var sum = mat4x4f();
  for (var k = zero; k < TILE; k++) {
    let other = right[k * PITCH + c];
    for (var n = 0u; n < 4u; n++) { sum[n] += scores[(r + 8u * n) * SCORE_PITCH + k] * other; }
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
