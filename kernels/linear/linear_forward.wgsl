// linear_forward: Y[t, n] (+)= ALPHA * sum_k X[t, k] * W[n, k]  (+ R[t, n], or with BIAS R[n])
//
//   x: [T, K] f32    w: [N, K] f32, f16/bf16 packed in pairs, or i8/nf4 with scales [N, K / 64]
//   y: [T, N_STRIDE] f32, columns N_OFFSET .. N_OFFSET + N
//   residual: [T, N_STRIDE] f32, read when RESIDUAL, or [N_STRIDE], read when BIAS
//   ACCUMULATE adds to y, otherwise y is overwritten.
//
// One invocation makes ROWS x COLUMNS outputs in registers, reading vec4 along K; no barriers and no shared memory.
// K is a multiple of 4 (VEC4), else elements are read one by one. Limited by load instructions; K and N are baked in,
// T is the length of the binding, so that batches of all sizes share one pipeline.
import package::shared::grid::workgroup_index;
import package::shared::half::widen_bf16;
import package::shared::half::widen_f16;
import package::linear::quantized::widen_i8;
import package::linear::quantized::widen_nf4;
import constants::ROWS;
import constants::COLUMNS;
import constants::WORKGROUP;

override N: u32;
override K: u32;
override N_STRIDE: u32;
override N_OFFSET: u32;
override ALPHA: f32 = 1.0;

@if(VEC4) @group(0) @binding(0) var<storage, read> x: array<vec4f>;
@else @group(0) @binding(0) var<storage, read> x: array<f32>;
@if(W_HALF && VEC4) @group(0) @binding(1) var<storage, read> w: array<vec2u>;
@if(W_HALF && !VEC4) @group(0) @binding(1) var<storage, read> w: array<u32>;
@if(W_I8 || W_NF4) @group(0) @binding(1) var<storage, read> w: array<u32>;
@if(!W_HALF && !W_I8 && !W_NF4 && VEC4) @group(0) @binding(1) var<storage, read> w: array<vec4f>;
@if(!W_HALF && !VEC4) @group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@if(W_I8 || W_NF4) @group(0) @binding(3) var<storage, read> scales: array<f32>;
@if(RESIDUAL || BIAS) @group(0) @binding(4) var<storage, read> residual: array<f32>;

@if(VEC4) fn load_x(row: u32, k4: u32) -> vec4f { return x[row * (K / 4u) + k4]; }
@if(!VEC4) fn load_x(row: u32, k4: u32) -> vec4f {
  let base = row * K;
  var v = vec4f();
  for (var i = 0u; i < 4u; i++) { if (4u * k4 + i < K) { v[i] = x[base + 4u * k4 + i]; } }
  return v;
}

@if(W_I8) fn load_w(row: u32, k4: u32) -> vec4f {
  let i = row * (K / 4u) + k4;
  return scales[i / 16u] * widen_i8(w[i]);
}
@if(W_NF4) fn load_w(row: u32, k4: u32) -> vec4f {
  let i = row * (K / 4u) + k4;
  return scales[i / 16u] * widen_nf4(w[i / 2u] >> (16u * (i % 2u)));
}
@if(!W_HALF && !W_I8 && !W_NF4 && VEC4) fn load_w(row: u32, k4: u32) -> vec4f { return w[row * (K / 4u) + k4]; }
@if(W_HALF && VEC4) fn load_w(row: u32, k4: u32) -> vec4f {
  let packed = w[row * (K / 4u) + k4];
  @if(W_BF16) return vec4f(widen_bf16(packed.x), widen_bf16(packed.y));
  @else return vec4f(widen_f16(packed.x), widen_f16(packed.y));
}
@if(!VEC4) fn load_w(row: u32, k4: u32) -> vec4f {
  var v = vec4f();
  for (var i = 0u; i < 4u; i++) { if (4u * k4 + i < K) { v[i] = element_w(row * K + 4u * k4 + i); } }
  return v;
}
@if(!VEC4 && !W_HALF) fn element_w(i: u32) -> f32 { return w[i]; }
@if(!VEC4 && W_HALF) fn element_w(i: u32) -> f32 {
  @if(W_BF16) return widen_bf16(w[i / 2u])[i % 2u];
  @else return widen_f16(w[i / 2u])[i % 2u];
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let T = arrayLength(&y) / N_STRIDE;
  let column_blocks = (N + COLUMNS - 1u) / COLUMNS;
  let block = workgroup_index(workgroup, workgroups) * WORKGROUP + lane;
  // Neighbouring lanes share their columns and differ in rows, so that one weight load serves many lanes.
  let row_blocks = (T + ROWS - 1u) / ROWS;
  if (block >= row_blocks * column_blocks) { return; }
  let row0 = (block % row_blocks) * ROWS;
  let column0 = (block / row_blocks) * COLUMNS;

  var sums: array<f32, ROWS * COLUMNS>;
  for (var k4 = 0u; k4 < (K + 3u) / 4u; k4++) {
    var xs: array<vec4f, ROWS>;
    for (var r = 0u; r < ROWS; r++) { xs[r] = load_x(min(row0 + r, T - 1u), k4); }
    for (var c = 0u; c < COLUMNS; c++) {
      let wv = load_w(min(column0 + c, N - 1u), k4);
      for (var r = 0u; r < ROWS; r++) { sums[r * COLUMNS + c] += dot(xs[r], wv); }
    }
  }
  for (var r = 0u; r < ROWS; r++) {
    if (row0 + r >= T) { break; }
    for (var c = 0u; c < COLUMNS; c++) {
      if (column0 + c >= N) { break; }
      let i = (row0 + r) * N_STRIDE + N_OFFSET + column0 + c;
      var value = ALPHA * sums[r * COLUMNS + c];
      @if(RESIDUAL) value += residual[i];
      @if(BIAS) value += residual[N_OFFSET + column0 + c];
      @if(ACCUMULATE) value += y[i];
      y[i] = value;
    }
  }
}
