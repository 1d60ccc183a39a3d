// linear_backward_input: dX[t, k] (+)= ALPHA * sum_n dY[t, n] * W[n, k]
//
//   dy: [T, N_STRIDE] f32, columns N_OFFSET .. N_OFFSET + N    w: [N, K] f32, f16/bf16 packed in pairs, or i8/nf4 with scales [N, K / 64]    dx: [T, K] f32
//   ACCUMULATE adds to dx, otherwise dx is overwritten.
//
// W is read as it lies, row by row: no transposed copy. One invocation makes ROWS x (4 * COLUMNS4) outputs in registers;
// no barriers. K is a multiple of 4 (VEC4), else elements are read one by one.
// T is the length of the binding, so that batches of all sizes share one pipeline.
import package::shared::grid::workgroup_index;
import package::shared::half::widen_bf16;
import package::shared::half::widen_f16;
import package::linear::quantized::widen_i8;
import package::linear::quantized::widen_nf4;
import constants::ROWS;
import constants::COLUMNS4;
import constants::WORKGROUP;

override N: u32;
override K: u32;
override N_STRIDE: u32;
override N_OFFSET: u32;
override ALPHA: f32 = 1.0;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@if(W_HALF && VEC4) @group(0) @binding(1) var<storage, read> w: array<vec2u>;
@if(W_HALF && !VEC4) @group(0) @binding(1) var<storage, read> w: array<u32>;
@if(W_I8 || W_NF4) @group(0) @binding(1) var<storage, read> w: array<u32>;
@if(!W_HALF && !W_I8 && !W_NF4 && VEC4) @group(0) @binding(1) var<storage, read> w: array<vec4f>;
@if(!W_HALF && !VEC4) @group(0) @binding(1) var<storage, read> w: array<f32>;
@if(VEC4) @group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;
@else @group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@if(W_I8 || W_NF4) @group(0) @binding(3) var<storage, read> scales: array<f32>;

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

@if(VEC4) fn store(row: u32, k4: u32, sum: vec4f) {
  let i = row * (K / 4u) + k4;
  @if(ACCUMULATE) dx[i] += sum;
  @else dx[i] = sum;
}
@if(!VEC4) fn store(row: u32, k4: u32, sum: vec4f) {
  for (var j = 0u; j < 4u; j++) {
    if (4u * k4 + j >= K) { return; }
    let i = row * K + 4u * k4 + j;
    @if(ACCUMULATE) dx[i] += sum[j];
    @else dx[i] = sum[j];
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
  @if(VEC4) let T = 4u * arrayLength(&dx) / K;
  @else let T = arrayLength(&dx) / K;
  let k4_count = (K + 3u) / 4u;
  let column_blocks = (k4_count + COLUMNS4 - 1u) / COLUMNS4;
  let row_blocks = (T + ROWS - 1u) / ROWS;
  let block = workgroup_index(workgroup, workgroups) * WORKGROUP + lane;
  if (block >= row_blocks * column_blocks) { return; }
  let row0 = (block % row_blocks) * ROWS;
  let k40 = (block / row_blocks) * COLUMNS4;

  var sums: array<vec4f, ROWS * COLUMNS4>;
  for (var n = 0u; n < N; n++) {
    var ws: array<vec4f, COLUMNS4>;
    for (var c = 0u; c < COLUMNS4; c++) { ws[c] = load_w(n, min(k40 + c, k4_count - 1u)); }
    for (var r = 0u; r < ROWS; r++) {
      let g = dy[min(row0 + r, T - 1u) * N_STRIDE + N_OFFSET + n];
      for (var c = 0u; c < COLUMNS4; c++) { sums[r * COLUMNS4 + c] += g * ws[c]; }
    }
  }
  for (var r = 0u; r < ROWS; r++) {
    if (row0 + r >= T) { break; }
    for (var c = 0u; c < COLUMNS4; c++) {
      if (k40 + c >= k4_count) { break; }
      store(row0 + r, k40 + c, ALPHA * sums[r * COLUMNS4 + c]);
    }
  }
}
