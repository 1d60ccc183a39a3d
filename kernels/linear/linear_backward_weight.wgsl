// linear_backward_weight: dW[n, k] (+)= ALPHA * sum_t dY[t, n] * X[t, k]
//
//   dy: [T, N_STRIDE] f32, columns N_OFFSET .. N_OFFSET + N    x: [T, K] f32    dw: [N, K] f32
//   ACCUMULATE adds to dw (trained leaves gather gradients over micro-batches), otherwise dw is overwritten.
//
// One invocation makes ROWS x (4 * COLUMNS4) elements of dW in registers and walks all T tokens in order, so that equal
// inputs give equal bits. No barriers. K is a multiple of 4 (VEC4), else elements are read one by one.
// Repetitions of the grid share the tokens, and their results lie one after the other.
// T is the length of the binding, so that batches of all sizes share one pipeline.
import package::shared::grid::workgroup_index;
import constants::ROWS;
import constants::COLUMNS4;
import constants::WORKGROUP;

override N: u32;
override K: u32;
override N_STRIDE: u32;
override N_OFFSET: u32;
override ALPHA: f32 = 1.0;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@if(VEC4) @group(0) @binding(1) var<storage, read> x: array<vec4f>;
@else @group(0) @binding(1) var<storage, read> x: array<f32>;
@if(VEC4) @group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;
@else @group(0) @binding(2) var<storage, read_write> dw: array<f32>;

@if(VEC4) fn load_x(row: u32, k4: u32) -> vec4f { return x[row * (K / 4u) + k4]; }
@if(!VEC4) fn load_x(row: u32, k4: u32) -> vec4f {
  var v = vec4f();
  for (var i = 0u; i < 4u; i++) { if (4u * k4 + i < K) { v[i] = x[row * K + 4u * k4 + i]; } }
  return v;
}

@if(VEC4) fn store(row: u32, k4: u32, sum: vec4f, run: u32) {
  let i = (run * N + row) * (K / 4u) + k4;
  @if(ACCUMULATE) dw[i] += sum;
  @else dw[i] = sum;
}
@if(!VEC4) fn store(row: u32, k4: u32, sum: vec4f, run: u32) {
  for (var j = 0u; j < 4u; j++) {
    if (4u * k4 + j >= K) { return; }
    let i = (run * N + row) * K + 4u * k4 + j;
    @if(ACCUMULATE) dw[i] += sum[j];
    @else dw[i] = sum[j];
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
  @if(VEC4) let T = 4u * arrayLength(&x) / K;
  @else let T = arrayLength(&x) / K;
  let k4_count = (K + 3u) / 4u;
  let column_blocks = (k4_count + COLUMNS4 - 1u) / COLUMNS4;
  let row_blocks = (N + ROWS - 1u) / ROWS;
  let block = workgroup_index(workgroup, workgroups) * WORKGROUP + lane;
  if (block >= row_blocks * column_blocks) { return; }
  let row0 = (block % row_blocks) * ROWS;
  let k40 = (block / row_blocks) * COLUMNS4;

  var sums: array<vec4f, ROWS * COLUMNS4>;
  let run = (T + workgroups.z - 1u) / workgroups.z;
  for (var t = workgroup.z * run; t < min(T, (workgroup.z + 1u) * run); t++) {
    var xs: array<vec4f, COLUMNS4>;
    for (var c = 0u; c < COLUMNS4; c++) { xs[c] = load_x(t, min(k40 + c, k4_count - 1u)); }
    for (var r = 0u; r < ROWS; r++) {
      let g = dy[t * N_STRIDE + N_OFFSET + min(row0 + r, N - 1u)];
      for (var c = 0u; c < COLUMNS4; c++) { sums[r * COLUMNS4 + c] += g * xs[c]; }
    }
  }
  for (var r = 0u; r < ROWS; r++) {
    if (row0 + r >= N) { break; }
    for (var c = 0u; c < COLUMNS4; c++) {
      if (k40 + c >= k4_count) { break; }
      store(row0 + r, k40 + c, ALPHA * sums[r * COLUMNS4 + c], workgroup.z);
    }
  }
}
