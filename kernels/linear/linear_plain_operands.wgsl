// What the plain products of a linear layer share: their sizes, and the operand whose rows lie along K
//
//   own, other and out as in linear_operands.wgsl; other: [rows, K], the weight w (f32, f16/bf16 packed in pairs, or i8/nf4 with
//   scales: [rows, K / 64] f32) or the input x (f32). K is a multiple of 4 (VEC4), else elements are read one by one.
//   N, K, N_STRIDE and N_OFFSET are baked in, so that compilers unroll; T is the length of a binding, so that batches of all
//   sizes share one pipeline.
import package::shared::half::widen_bf16;
import package::shared::half::widen_f16;
import package::linear::quantized::widen_i8;
import package::linear::quantized::widen_nf4;

override N: u32;
override K: u32;
override N_STRIDE: u32;
override N_OFFSET: u32;
override ALPHA: f32 = 1.0;

@if(W_HALF && VEC4) @group(0) @binding(1) var<storage, read> other: array<vec2u>;
@if(W_HALF && !VEC4) @group(0) @binding(1) var<storage, read> other: array<u32>;
@if(W_I8 || W_NF4) @group(0) @binding(1) var<storage, read> other: array<u32>;
@if(!W_HALF && !W_I8 && !W_NF4 && VEC4) @group(0) @binding(1) var<storage, read> other: array<vec4f>;
@if(!W_HALF && !VEC4) @group(0) @binding(1) var<storage, read> other: array<f32>;
@if(W_I8 || W_NF4) @group(0) @binding(3) var<storage, read> scales: array<f32>;

/// Elements 4 * k4 ... + 3 of a row of the other operand, 0 past its end.
@if(W_I8) fn load_other(row: u32, k4: u32) -> vec4f {
  let i = row * (K / 4u) + k4;
  return scales[i / 16u] * widen_i8(other[i]);
}
@if(W_NF4) fn load_other(row: u32, k4: u32) -> vec4f {
  let i = row * (K / 4u) + k4;
  return scales[i / 16u] * widen_nf4(other[i / 2u] >> (16u * (i % 2u)));
}
@if(!W_HALF && !W_I8 && !W_NF4 && VEC4) fn load_other(row: u32, k4: u32) -> vec4f { return other[row * (K / 4u) + k4]; }
@if(W_HALF && VEC4) fn load_other(row: u32, k4: u32) -> vec4f {
  let packed = other[row * (K / 4u) + k4];
  @if(W_BF16) return vec4f(widen_bf16(packed.x), widen_bf16(packed.y));
  @else return vec4f(widen_f16(packed.x), widen_f16(packed.y));
}
@if(!VEC4) fn load_other(row: u32, k4: u32) -> vec4f {
  var v = vec4f();
  for (var i = 0u; i < 4u; i++) { if (4u * k4 + i < K) { v[i] = other_element(row * K + 4u * k4 + i); } }
  return v;
}
@if(!VEC4 && !W_HALF) fn other_element(i: u32) -> f32 { return other[i]; }
@if(!VEC4 && W_HALF) fn other_element(i: u32) -> f32 {
  @if(W_BF16) return widen_bf16(other[i / 2u])[i % 2u];
  @else return widen_f16(other[i / 2u])[i % 2u];
}
