// attention_inputs_subgroup: what attention needs of the few rows of a decoding step, in one dispatch
//
//   q = rope(x Wqᵀ),   keys[places[t]] = rope(x Wkᵀ),   values[places[t]] = x Wvᵀ
//   rope turns the pair (y[d], y[d + HALF]) of every head by the angle of the row's position (rotary.wgsl).
//
//   x: [T, K] f32    wq: [NQ, K], wk, wv: [NKV, K], all f32, or all f16/bf16 packed in pairs    q: [T, NQ] f32
//   positions, places: [T] u32    table: [positions, HALF] (cos, sin)    keys, values: [rows of the cache, NKV] f32
//   NORMED: x r w in the place of x (row_norm.wgsl), norm_w: [K] f32
//   sizes: (K, NQ, NKV, HALF); K is a multiple of 4, HALF is even.
//
// For CPU adapters whose subgroups have at least 8 invocations. A workgroup belongs to one of the three products; its
// invocations make ROWS rows x 4 columns of it, two neighbouring pairs of a head. Limited by the loads of weights.
import package::linear::row_block::ROWS;
import package::linear::row_block::accumulate;
import package::linear::row_norm::inverse_rms;
import package::linear::row_norm::normed;
import package::shared::grid::workgroup_index;
import package::shared::half::widen_bf16;
import package::shared::half::widen_f16;
import constants::WORKGROUP;

enable subgroups;

struct Sizes { K: u32, NQ: u32, NKV: u32, HALF: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@if(W_HALF) @group(0) @binding(1) var<storage, read> wq: array<vec2u>;
@else @group(0) @binding(1) var<storage, read> wq: array<vec4f>;
@if(W_HALF) @group(0) @binding(2) var<storage, read> wk: array<vec2u>;
@else @group(0) @binding(2) var<storage, read> wk: array<vec4f>;
@if(W_HALF) @group(0) @binding(3) var<storage, read> wv: array<vec2u>;
@else @group(0) @binding(3) var<storage, read> wv: array<vec4f>;
@group(0) @binding(4) var<storage, read> sizes: Sizes;
@group(0) @binding(5) var<storage, read> positions: array<u32>;
@group(0) @binding(6) var<storage, read> places: array<u32>;
@group(0) @binding(7) var<storage, read> table: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> q: array<vec2f>;
@group(0) @binding(9) var<storage, read_write> keys: array<vec2f>;
@group(0) @binding(10) var<storage, read_write> values: array<vec2f>;

@if(NORMED) @group(0) @binding(11) var<storage, read> norm_w: array<vec4f>;

/// `r` is that of the row, where it is normed.
fn load_x(start: u32, i: u32, r: f32) -> vec4f {
  @if(NORMED) return normed(x[start + i], r, norm_w[i]);
  @else return x[start + i];
}

@if(!W_HALF) fn widened(stored: vec4f) -> vec4f { return stored; }
@if(W_HALF && W_BF16) fn widened(stored: vec2u) -> vec4f { return vec4f(widen_bf16(stored.x), widen_bf16(stored.y)); }
@if(W_HALF && !W_BF16) fn widened(stored: vec2u) -> vec4f { return vec4f(widen_f16(stored.x), widen_f16(stored.y)); }

/// The pairs (y[d], y[d + HALF]) and (y[d + 1], y[d + 1 + HALF]) as y[d], y[d + 1], y[d + HALF], y[d + 1 + HALF]; d = 2 * d2.
fn turned(y: vec4f, row: u32, d2: u32) -> vec4f {
  let turns = table[positions[row] * (sizes.HALF / 2u) + d2];
  let c = turns.xz;
  let s = turns.yw;
  return vec4f(y.xy * c - y.zw * s, y.zw * c + y.xy * s);
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local_index: u32,
  @builtin(subgroup_invocation_id) subgroup_index: u32,
) {
  let row_count = arrayLength(&positions);
  let row_blocks = (row_count + ROWS - 1u) / ROWS;
  let block = workgroup_index(workgroup, workgroups);
  let row0 = (block % row_blocks) * ROWS;
  let q_blocks = (sizes.NQ / 4u + WORKGROUP - 1u) / WORKGROUP;
  let kv_blocks = (sizes.NKV / 4u + WORKGROUP - 1u) / WORKGROUP;
  // Which product, and which four columns of it.
  let column_block = block / row_blocks;
  let is_q = column_block < q_blocks;
  let is_k = !is_q && column_block < q_blocks + kv_blocks;
  let first_block = select(select(q_blocks + kv_blocks, q_blocks, is_k), 0u, is_q);
  let width = select(sizes.NKV, sizes.NQ, is_q);
  let four = (column_block - first_block) * WORKGROUP + local_index;
  let fours_per_head = sizes.HALF / 2u;
  let d2 = four % fours_per_head;
  let column = min(four / fours_per_head * 2u * sizes.HALF + 2u * d2, width - 2u - sizes.HALF);

  let depths4 = sizes.K / 4u;
  let starts = (column + vec4u(0u, 1u, sizes.HALF, sizes.HALF + 1u)) * depths4;
  let own_start = min(row0 + subgroup_index % ROWS, row_count - 1u) * depths4;
  var sums: array<vec4f, ROWS>;
  var r = 1.0;
  @if(NORMED) {
    var squares = vec4f();
    for (var i = 0u; i < depths4; i++) { squares += x[own_start + i] * x[own_start + i]; }
    r = inverse_rms(squares, sizes.K);
  }
  if (is_q) {
    for (var i = 0u; i < depths4; i++) {
      accumulate(&sums, load_x(own_start, i, r), transpose(mat4x4f(
        widened(wq[starts.x + i]), widened(wq[starts.y + i]), widened(wq[starts.z + i]), widened(wq[starts.w + i]),
      )));
    }
  } else if (is_k) {
    for (var i = 0u; i < depths4; i++) {
      accumulate(&sums, load_x(own_start, i, r), transpose(mat4x4f(
        widened(wk[starts.x + i]), widened(wk[starts.y + i]), widened(wk[starts.z + i]), widened(wk[starts.w + i]),
      )));
    }
  } else {
    for (var i = 0u; i < depths4; i++) {
      accumulate(&sums, load_x(own_start, i, r), transpose(mat4x4f(
        widened(wv[starts.x + i]), widened(wv[starts.y + i]), widened(wv[starts.z + i]), widened(wv[starts.w + i]),
      )));
    }
  }
  if (4u * four >= width) { return; }
  let rows = min(row0 + ROWS, row_count);
  for (var row = row0; row < rows; row++) {
    let sum = sums[row - row0];
    if (is_q) {
      let y = turned(sum, row, d2);
      q[(row * width + column) / 2u] = y.xy;
      q[(row * width + column + sizes.HALF) / 2u] = y.zw;
    } else if (is_k) {
      let y = turned(sum, row, d2);
      keys[(places[row] * width + column) / 2u] = y.xy;
      keys[(places[row] * width + column + sizes.HALF) / 2u] = y.zw;
    } else {
      values[(places[row] * width + column) / 2u] = sum.xy;
      values[(places[row] * width + column + sizes.HALF) / 2u] = sum.zw;
    }
  }
}
