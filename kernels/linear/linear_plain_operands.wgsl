// What the plain products of a linear layer share: their sizes, and the operand whose rows lie along K
//
//   own, other and out as in linear_operands.wgsl; other: [rows, K], the weight w (f32, f16/bf16 packed in pairs, or i8/nf4 with
//   scales: [rows, K / 64] f32) or the input x (f32). K is a multiple of 4 (VEC4), else elements are read one by one.
//   sizes: (N, K, N_STRIDE, N_OFFSET, ALPHA). They are data, and T is the length of a binding, so that all shapes share one
//   pipeline: one takes a CPU adapter half a second to compile.
import package::shared::half::widen_bf16;
import package::shared::half::widen_f16;
import package::linear::quantized::widen_i8;
import package::linear::quantized::widen_nf4;

struct Sizes { N: u32, K: u32, N_STRIDE: u32, N_OFFSET: u32, ALPHA: f32 }

@if(W_HALF && VEC4) @group(0) @binding(1) var<storage, read> other: array<vec2u>;
@if(W_HALF && !VEC4) @group(0) @binding(1) var<storage, read> other: array<u32>;
@if(W_I8 || W_NF4) @group(0) @binding(1) var<storage, read> other: array<u32>;
@if(!W_HALF && !W_I8 && !W_NF4 && VEC4) @group(0) @binding(1) var<storage, read> other: array<vec4f>;
@if(!W_HALF && !VEC4) @group(0) @binding(1) var<storage, read> other: array<f32>;
@if(W_I8 || W_NF4) @group(0) @binding(3) var<storage, read> scales: array<f32>;
@group(0) @binding(5) var<storage, read> sizes: Sizes;

/// Elements 4 * k4 ... + 3 of a row of the other operand, 0 past its end. K comes as an argument: read here, a CPU adapter would
/// load it in every step of a sum.
@if(W_I8) fn load_other(row: u32, k4: u32, K: u32) -> vec4f {
  let i = row * (K / 4u) + k4;
  return scales[i / 16u] * widen_i8(other[i]);
}
@if(W_NF4) fn load_other(row: u32, k4: u32, K: u32) -> vec4f {
  let i = row * (K / 4u) + k4;
  return scales[i / 16u] * widen_nf4(other[i / 2u] >> (16u * (i % 2u)));
}
@if(!W_HALF && !W_I8 && !W_NF4 && VEC4) fn load_other(row: u32, k4: u32, K: u32) -> vec4f { return other[row * (K / 4u) + k4]; }
@if(W_HALF && VEC4) fn load_other(row: u32, k4: u32, K: u32) -> vec4f {
  let packed = other[row * (K / 4u) + k4];
  @if(W_BF16) return vec4f(widen_bf16(packed.x), widen_bf16(packed.y));
  @else return vec4f(widen_f16(packed.x), widen_f16(packed.y));
}
@if(!VEC4) fn load_other(row: u32, k4: u32, K: u32) -> vec4f {
  var v = vec4f();
  for (var i = 0u; i < 4u; i++) { if (4u * k4 + i < K) { v[i] = other_element(row * K + 4u * k4 + i); } }
  return v;
}
@if(!VEC4 && !W_HALF) fn other_element(i: u32) -> f32 { return other[i]; }
@if(!VEC4 && W_HALF) fn other_element(i: u32) -> f32 {
  @if(W_BF16) return widen_bf16(other[i / 2u])[i % 2u];
  @else return widen_f16(other[i / 2u])[i % 2u];
}
