// What the variants of a linear layer's three products share: operands, sizes, and how a result is stored
//
//   FORWARD   y[t, n]  (+)= ALPHA * sum_k X[t, k] * W[n, k]  (+ R[t, n])    own = x,   other = w,  out = y
//   INPUT     dx[t, k] (+)= ALPHA * sum_n dY[t, n] * W[n, k]                own = dy,  other = w,  out = dx
//   WEIGHT    dw[n, k] (+)= ALPHA * sum_t dY[t, n] * X[t, k]                own = dy,  other = x,  out = dw
//
//   x: [T, K] f32    y, dy, residual: [T, N_STRIDE] f32, columns N_OFFSET .. N_OFFSET + N
//   w: [N, K] f32, f16/bf16 packed in pairs, or i8/nf4 (W_I8, W_NF4) with scales: [N, K / 64] f32
//     ACCUMULATE adds to out, otherwise out is overwritten.
//   sizes: (N, K, N_STRIDE, N_OFFSET), all multiples of 4, ALPHA, and STAGING: what own is multiplied by before it is
//   rounded to 16 bits, already divided out of ALPHA. T is the length of a binding.
//
// Sizes are data, so that all shapes share one pipeline: large bodies take a CPU adapter half a second to compile. In
// terms of the product, out is [rows, columns] and the sum runs over its depth.
import package::half::widen_bf16;
import package::half::widen_f16;
import package::quantized::widen_i8;
import package::quantized::widen_nf4;

struct Sizes { N: u32, K: u32, N_STRIDE: u32, N_OFFSET: u32, ALPHA: f32, STAGING: f32 }

@group(0) @binding(0) var<storage, read> own: array<vec4f>;
@if(W_HALF) @group(0) @binding(1) var<storage, read> other: array<vec2u>;
@if(W_I8 || W_NF4) @group(0) @binding(1) var<storage, read> other: array<u32>;
@if(!W_HALF && !W_I8 && !W_NF4) @group(0) @binding(1) var<storage, read> other: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;
@group(0) @binding(3) var<storage, read> sizes: Sizes;
@if(W_I8 || W_NF4) @group(0) @binding(4) var<storage, read> scales: array<f32>;
@if(RESIDUAL && !W_I8 && !W_NF4) @group(0) @binding(4) var<storage, read> residual: array<vec4f>;
@if(RESIDUAL && (W_I8 || W_NF4)) @group(0) @binding(5) var<storage, read> residual: array<vec4f>;

@if(FORWARD) fn row_count() -> u32 { return 4u * arrayLength(&out) / sizes.N_STRIDE; }
@if(INPUT) fn row_count() -> u32 { return 4u * arrayLength(&out) / sizes.K; }
@if(WEIGHT) fn row_count() -> u32 { return sizes.N; }

@if(FORWARD) fn column_count() -> u32 { return sizes.N; }
@else fn column_count() -> u32 { return sizes.K; }

@if(FORWARD) fn depth_count() -> u32 { return sizes.K; }
@if(INPUT) fn depth_count() -> u32 { return sizes.N; }
@if(WEIGHT) fn depth_count() -> u32 { return 4u * arrayLength(&other) / sizes.K; }

/// A row's elements 4 * depth4 ... + 3 along the sum. Rows and depths past the end read others in their place.
@if(FORWARD) fn own_along_depth(row: u32, depth4: u32) -> vec4f {
  return own[min(row, row_count() - 1u) * (sizes.K / 4u) + min(depth4, sizes.K / 4u - 1u)];
}
@if(INPUT) fn own_along_depth(row: u32, depth4: u32) -> vec4f {
  return own[(min(row, row_count() - 1u) * sizes.N_STRIDE + sizes.N_OFFSET) / 4u + min(depth4, sizes.N / 4u - 1u)];
}
/// Elements of rows 4 * row4 ... + 3 at one depth.
@if(WEIGHT) fn own_along_rows(depth: u32, row4: u32) -> vec4f {
  let t = min(depth, depth_count() - 1u);
  return own[(t * sizes.N_STRIDE + sizes.N_OFFSET) / 4u + min(row4, sizes.N / 4u - 1u)];
}

fn load_other(i: u32) -> vec4f {
  @if(!W_HALF && !W_I8 && !W_NF4) return other[i];
  @if(W_I8) return scales[i / 16u] * widen_i8(other[i]);
  @if(W_NF4) return scales[i / 16u] * widen_nf4(other[i / 2u] >> (16u * (i % 2u)));
  @if(W_HALF && W_BF16) return vec4f(widen_bf16(other[i].x), widen_bf16(other[i].y));
  @if(W_HALF && !W_BF16) return vec4f(widen_f16(other[i].x), widen_f16(other[i].y));
}

/// A column's elements 4 * depth4 ... + 3 along the sum.
@if(FORWARD) fn other_along_depth(column: u32, depth4: u32) -> vec4f {
  return load_other(min(column, sizes.N - 1u) * (sizes.K / 4u) + min(depth4, sizes.K / 4u - 1u));
}
/// Elements of columns 4 * column4 ... + 3 at one depth.
@if(!FORWARD) fn other_along_columns(depth: u32, column4: u32) -> vec4f {
  return load_other(min(depth, depth_count() - 1u) * (sizes.K / 4u) + min(column4, sizes.K / 4u - 1u));
}

/// Stores columns 4 * column4 ... + 3 of a row, unless they lie outside.
fn store(row: u32, column4: u32, sum: vec4f) {
  if (row >= row_count() || 4u * column4 >= column_count()) { return; }
  @if(FORWARD) let i = (row * sizes.N_STRIDE + sizes.N_OFFSET) / 4u + column4;
  @if(!FORWARD) let i = row * (sizes.K / 4u) + column4;
  var value = sizes.ALPHA * sum;
  @if(RESIDUAL) value += residual[i];
  @if(ACCUMULATE) value += out[i];
  out[i] = value;
}

/// `v` where this depth counts, zero past the end of the sum.
fn within(v: vec4f, depth: u32) -> vec4f {
  return select(vec4f(), v, depth < depth_count());
}
