// What the variants of a linear layer's three products share: operands, sizes, and how a result is stored
//
//   FORWARD   y[t, n]  (+)= ALPHA * sum_k X[t, k] * W[n, k]  (+ R[t, n], or with BIAS R[n])    own = x,   other = w,  out = y
//   INPUT     dx[t, k] (+)= ALPHA * sum_n dY[t, n] * W[n, k]                own = dy,  other = w,  out = dx
//   WEIGHT    dw[n, k] (+)= ALPHA * sum_t dY[t, n] * X[t, k]                own = dy,  other = x,  out = dw
//
//   x: [T, K] f32    y, dy, residual: [T, N_STRIDE] f32, columns N_OFFSET .. N_OFFSET + N
//   w: [N, K] f32, f16/bf16 packed in pairs, or i8/nf4 (W_I8, W_NF4) with scales: [N, K / 64] f32
//   ACCUMULATE adds to out, otherwise out is overwritten.
//   sizes: (N, K, N_STRIDE, N_OFFSET, R), all multiples of 4, ALPHA, and STAGING: what own is multiplied by before it is
//   rounded to 16 bits, already divided out of ALPHA. T is the length of a binding.
//
// LOW_RANK is a LoRA pair in the same sum, R terms more of it (ALPHA is 1 then, and the pair's factor lies in low_own):
//
//   FORWARD   y  = X Wᵀ + L Bᵀ        low_own = L [T, R],   low_other = B [all rows of W, R]
//   INPUT     dx = dY W + dL A        low_own = dL [T, R],  low_other = A [R, K]
//     low_other is f32, or f16/bf16 packed in pairs (LOW_HALF, LOW_BF16).
//
// Pairs of products that read the same x share L [T, R_STRIDE] and its gradient. With LOW_RANGED low_own is columns R_OFFSET .. R_OFFSET + R
// of it. With K_RANGED what lies along K in a backward product does likewise: INPUT's out and WEIGHT's other are [T, K_STRIDE], columns
// K_OFFSET .. K_OFFSET + K.
//
// OWN_HALF: own is stored as it is staged, x by `half_input` and dy by `half_gradient` of half.wgsl. For WEIGHT such an x is a W_HALF operand,
// whose factor of 64 is in ALPHA.
//
// GATED is the epilogue of a feed-forward block, FORWARD only: out = up (kept for the gradient), activation = f(gate) up, f silu or GELU.
// ACTIVATION_HALF stores activation as the input of a product (`half_input` of half.wgsl).
// OUT_HALF stores out, and reads gate, as f16 in pairs (activation.wgsl); FORWARD only, without ACCUMULATE.
//
// TURNED is the epilogue of queries and keys, FORWARD only: rotary embedding (rotary.wgsl has its formula) of all that is added up, in
// heads of 4 * HEAD4 columns. An element's partner lies half a head away, in what may be another invocation's columns; a
// turned product therefore has its columns in another order than out. Of vec4 g of a head, x and y are elements 2 g and 2 g + 1 of the
// head's first half, z and w those of its second: every store has whole pairs. A shard holds whole heads.
//     positions: [T] u32    turns: [positions, 2 * HEAD4] (cos, sin), two to a vec4    Not with ACCUMULATE, RESIDUAL, OUT_HALF.
//
// Sizes are data, so that all shapes share one pipeline: large bodies take a CPU adapter half a second to compile. With SIZED those of
// a weight (N, K, N_STRIDE, R) are constants of the pipeline instead, so that strides, bounds and divisions by them
// fold. In terms of the product, out is [rows, columns] and the sum runs over its depth.
import package::shared::half::half_input;
import package::shared::half::of_half_gradient;
import package::shared::half::of_half_input;
import package::shared::half::widen_bf16;
import package::shared::half::widen_f16;
import package::linear::quantized::widen_i8;
import package::linear::quantized::widen_nf4;
import package::elementwise::activation::activated;
import package::elementwise::activation::kept;
import package::elementwise::activation::of_kept;

struct Sizes {
  N: u32, K: u32, N_STRIDE: u32, N_OFFSET: u32, R: u32, ALPHA: f32, STAGING: f32,
  K_STRIDE: u32, K_OFFSET: u32, R_STRIDE: u32, R_OFFSET: u32,
}

@if(SIZED) override N: u32;
@if(SIZED) override K: u32;
@if(SIZED) override N_STRIDE: u32;
@if(SIZED && LOW_RANK) override R: u32;
@if(TURNED) override HEAD4: u32;

@if(SIZED) fn n() -> u32 { return N; }
@else fn n() -> u32 { return sizes.N; }
@if(SIZED) fn k() -> u32 { return K; }
@else fn k() -> u32 { return sizes.K; }
@if(SIZED) fn n_stride() -> u32 { return N_STRIDE; }
@else fn n_stride() -> u32 { return sizes.N_STRIDE; }
@if(SIZED && LOW_RANK) fn r() -> u32 { return R; }
@else fn r() -> u32 { return sizes.R; }

@if(OWN_HALF) @group(0) @binding(0) var<storage, read> own: array<vec2u>;
@if(!OWN_HALF) @group(0) @binding(0) var<storage, read> own: array<vec4f>;
@if(W_HALF) @group(0) @binding(1) var<storage, read> other: array<vec2u>;
@if(W_I8 || W_NF4) @group(0) @binding(1) var<storage, read> other: array<u32>;
@if(!W_HALF && !W_I8 && !W_NF4) @group(0) @binding(1) var<storage, read> other: array<vec4f>;
@if(OUT_HALF) @group(0) @binding(2) var<storage, read_write> out: array<vec2u>;
@if(TURNED) @group(0) @binding(2) var<storage, read_write> out: array<vec2f>;
@if(!OUT_HALF && !TURNED) @group(0) @binding(2) var<storage, read_write> out: array<vec4f>;
@group(0) @binding(3) var<storage, read> sizes: Sizes;
@if(W_I8 || W_NF4) @group(0) @binding(4) var<storage, read> scales: array<f32>;
@if(RESIDUAL || BIAS) @group(0) @binding(5) var<storage, read> residual: array<vec4f>;
@if(LOW_RANK) @group(0) @binding(6) var<storage, read> low_own: array<vec4f>;
@if(LOW_RANK && LOW_HALF) @group(0) @binding(7) var<storage, read> low_other: array<vec2u>;
@if(LOW_RANK && !LOW_HALF) @group(0) @binding(7) var<storage, read> low_other: array<vec4f>;
@if(GATED && OUT_HALF) @group(0) @binding(8) var<storage, read> gate: array<vec2u>;
@if(GATED && !OUT_HALF) @group(0) @binding(8) var<storage, read> gate: array<vec4f>;
@if(GATED && ACTIVATION_HALF) @group(0) @binding(9) var<storage, read_write> activation: array<vec2u>;
@if(GATED && !ACTIVATION_HALF) @group(0) @binding(9) var<storage, read_write> activation: array<vec4f>;
@if(TURNED) @group(0) @binding(10) var<storage, read> positions: array<u32>;
@if(TURNED) @group(0) @binding(11) var<storage, read> turns: array<vec4f>;

@if(FORWARD && !TURNED) fn row_count() -> u32 { return 4u * arrayLength(&out) / n_stride(); }
@if(TURNED) fn row_count() -> u32 { return 2u * arrayLength(&out) / n_stride(); }
@if(INPUT) fn row_count() -> u32 { return 4u * arrayLength(&out) / k_stride(); }
@if(WEIGHT) fn row_count() -> u32 { return n(); }

@if(FORWARD) fn column_count() -> u32 { return n(); }
@else fn column_count() -> u32 { return k(); }

@if(FORWARD) fn base_depth() -> u32 { return k(); }
@if(INPUT) fn base_depth() -> u32 { return n(); }
@if(WEIGHT) fn base_depth() -> u32 { return 4u * arrayLength(&other) / k_stride(); }

@if(K_RANGED) fn k_stride() -> u32 { return sizes.K_STRIDE; }
@else fn k_stride() -> u32 { return k(); }
/// The first vec4 of a token in what lies along K.
@if(K_RANGED) fn along_k(t: u32) -> u32 { return (t * sizes.K_STRIDE + sizes.K_OFFSET) / 4u; }
@else fn along_k(t: u32) -> u32 { return t * (k() / 4u); }

fn depth_count() -> u32 {
  @if(LOW_RANK) return base_depth() + r();
  @else return base_depth();
}

@if(LOW_RANK) fn load_low_own(row: u32, depth4: u32) -> vec4f {
  let t = min(row, row_count() - 1u);
  @if(LOW_RANGED) let first = (t * sizes.R_STRIDE + sizes.R_OFFSET) / 4u;
  @if(!LOW_RANGED) let first = t * (r() / 4u);
  return low_own[first + min(depth4 - base_depth() / 4u, r() / 4u - 1u)];
}
@if(LOW_RANK) fn load_low_other(i: u32) -> vec4f {
  @if(!LOW_HALF) return low_other[i];
  @if(LOW_HALF && LOW_BF16) return vec4f(widen_bf16(low_other[i].x), widen_bf16(low_other[i].y));
  @if(LOW_HALF && !LOW_BF16) return vec4f(widen_f16(low_other[i].x), widen_f16(low_other[i].y));
}

/// vec4 i of own.
fn load_own(i: u32) -> vec4f {
  @if(!OWN_HALF) return own[i];
  @if(OWN_HALF && FORWARD) return of_half_input(own[i]);
  @if(OWN_HALF && !FORWARD) return of_half_gradient(own[i]);
}

/// Where own has a row's elements 4 * depth4 ... + 3 along the sum. Rows and depths past the end get the places of others.
@if(FORWARD) fn own_place_along_depth(row: u32, depth4: u32) -> u32 {
  return min(row, row_count() - 1u) * (k() / 4u) + min(depth4, k() / 4u - 1u);
}
@if(INPUT) fn own_place_along_depth(row: u32, depth4: u32) -> u32 {
  return (min(row, row_count() - 1u) * n_stride() + sizes.N_OFFSET) / 4u + min(depth4, n() / 4u - 1u);
}
/// Where it has elements of rows 4 * row4 ... + 3 at one depth.
@if(WEIGHT) fn own_place_along_rows(depth: u32, row4: u32) -> u32 {
  let t = min(depth, depth_count() - 1u);
  return (t * n_stride() + sizes.N_OFFSET) / 4u + min(row4, n() / 4u - 1u);
}

/// A row's elements 4 * depth4 ... + 3 along the sum.
@if(!WEIGHT) fn own_along_depth(row: u32, depth4: u32) -> vec4f {
  @if(LOW_RANK) { if (4u * depth4 >= base_depth()) { return load_low_own(row, depth4); } }
  return load_own(own_place_along_depth(row, depth4));
}
/// Elements of rows 4 * row4 ... + 3 at one depth.
@if(WEIGHT) fn own_along_rows(depth: u32, row4: u32) -> vec4f {
  return load_own(own_place_along_rows(depth, row4));
}

fn load_other(i: u32) -> vec4f {
  @if(!W_HALF && !W_I8 && !W_NF4) return other[i];
  @if(W_I8) return scales[i / 16u] * widen_i8(other[i]);
  @if(W_NF4) return scales[i / 16u] * widen_nf4(other[i / 2u] >> (16u * (i % 2u)));
  @if(W_HALF && W_BF16) return vec4f(widen_bf16(other[i].x), widen_bf16(other[i].y));
  @if(W_HALF && !W_BF16) return vec4f(widen_f16(other[i].x), widen_f16(other[i].y));
}

/// Of vec4 `column4` of a turned product, which vec2 of a row holds its elements in the first half of a head. Those of the second half
/// lie HEAD4 further on.
@if(TURNED) fn first_half(column4: u32) -> u32 {
  return column4 / HEAD4 * (2u * HEAD4) + column4 % HEAD4;
}

/// The row of the weight (of its shard) that a column is made with.
@if(FORWARD) fn row_of_weight(column: u32) -> u32 {
  let c = min(column, n() - 1u);
  @if(TURNED) return 2u * (first_half(c / 4u) + c / 2u % 2u * HEAD4) + c % 2u;
  @else return c;
}

/// Where the weight has a column's elements 4 * depth4 ... + 3 along the sum, and those of columns 4 * column4 ... + 3 at one depth.
@if(FORWARD) fn place_along_depth(column: u32, depth4: u32) -> u32 {
  return row_of_weight(column) * (k() / 4u) + min(depth4, k() / 4u - 1u);
}
@if(!FORWARD) fn place_along_columns(depth: u32, column4: u32) -> u32 {
  let d = min(depth, depth_count() - 1u);
  @if(WEIGHT) return along_k(d) + min(column4, k() / 4u - 1u);
  @else return d * (k() / 4u) + min(column4, k() / 4u - 1u);
}

/// A column's elements 4 * depth4 ... + 3 along the sum.
@if(FORWARD) fn other_along_depth(column: u32, depth4: u32) -> vec4f {
  @if(LOW_RANK) {
    if (4u * depth4 >= base_depth()) {
      let row = sizes.N_OFFSET + row_of_weight(column);
      return load_low_other(row * (r() / 4u) + min(depth4 - k() / 4u, r() / 4u - 1u));
    }
  }
  return load_other(place_along_depth(column, depth4));
}
/// Elements of columns 4 * column4 ... + 3 at one depth.
@if(!FORWARD) fn other_along_columns(depth: u32, column4: u32) -> vec4f {
  @if(LOW_RANK) {
    if (depth >= base_depth()) {
      let row = min(depth - base_depth(), r() - 1u);
      return load_low_other(row * (k() / 4u) + min(column4, k() / 4u - 1u));
    }
  }
  return load_other(place_along_columns(depth, column4));
}

/// Depths that each of `splits` repetitions of the grid takes (split-K), a multiple of every tile's. Only WEIGHT has more than one: its
/// sum runs over all tokens, and where the result is small, one workgroup an element of it would leave a GPU idle.
fn split_depth(splits: u32) -> u32 {
  let share = (depth_count() + splits - 1u) / splits;
  return (share + 31u) / 32u * 32u;
}

/// Stores columns 4 * column4 ... + 3 of a row, unless they lie outside. WEIGHT: results of splits lie one after the other.
@if(!TURNED) fn store(row: u32, column4: u32, sum: vec4f, split: u32) {
  if (row >= row_count() || 4u * column4 >= column_count()) { return; }
  @if(FORWARD) let i = (row * n_stride() + sizes.N_OFFSET) / 4u + column4;
  @if(INPUT) let i = along_k(row) + column4;
  @if(WEIGHT) let i = (split * n() + row) * (k() / 4u) + column4;
  var value = sizes.ALPHA * sum;
  @if(RESIDUAL) value += residual[i];
  @if(BIAS) value += residual[sizes.N_OFFSET / 4u + column4];
  @if(ACCUMULATE) value += out[i];
  @if(OUT_HALF) out[i] = kept(value);
  @if(!OUT_HALF) out[i] = value;
  @if(GATED && OUT_HALF) let gated = activated(of_kept(gate[i])) * value;
  @if(GATED && !OUT_HALF) let gated = activated(gate[i]) * value;
  @if(GATED && ACTIVATION_HALF) activation[i] = half_input(gated);
  @if(GATED && !ACTIVATION_HALF) activation[i] = gated;
}

/// Turns the two pairs of vec4 `column4` of a product, and stores them.
@if(TURNED) fn store(row: u32, column4: u32, sum: vec4f, split: u32) {
  if (row >= row_count() || 4u * column4 >= column_count()) { return; }
  let column2 = sizes.N_OFFSET / 2u + first_half(column4);
  var value = sizes.ALPHA * sum;
  @if(BIAS) value += vec4f(bias_at(column2), bias_at(column2 + HEAD4));
  let turn = turns[positions[row] * HEAD4 + column4 % HEAD4];
  let first = value.xy * turn.xz - value.zw * turn.yw;
  let second = value.zw * turn.xz + value.xy * turn.yw;
  let i = row * (n_stride() / 2u) + column2;
  out[i] = first;
  out[i + HEAD4] = second;
}
@if(TURNED && BIAS) fn bias_at(column2: u32) -> vec2f {
  let pairs = residual[column2 / 2u];
  return select(pairs.xy, pairs.zw, column2 % 2u == 1u);
}

/// `v` where this depth counts, zero past the end of the sum.
fn within(v: vec4f, depth: u32) -> vec4f {
  return select(vec4f(), v, depth < depth_count());
}
