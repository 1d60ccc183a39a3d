// linear_forward: Y[t, n] (+)= ALPHA * sum_k X[t, k] * W[n, k]  (+ R[t, n], or with BIAS R[n])
//
//   own = x: [T, K] f32    other = w: [N, K], see linear_plain_operands.wgsl
//   out = y: [T, N_STRIDE] f32, columns N_OFFSET .. N_OFFSET + N
//   residual: [T, N_STRIDE] f32, read when RESIDUAL, or [N_STRIDE], read when BIAS
//   ACCUMULATE adds to out, otherwise out is overwritten.
//
// One invocation makes ROWS x COLUMNS outputs in registers, reading vec4 along K; no barriers and no shared memory.
// The tile is written out (unroll.ts). Limited by load instructions.
import package::linear::linear_plain_operands::load_other;
import package::linear::linear_plain_operands::sizes;
import package::shared::grid::workgroup_index;
import constants::ROWS;
import constants::COLUMNS;
import constants::WORKGROUP;

@if(VEC4) @group(0) @binding(0) var<storage, read> own: array<vec4f>;
@else @group(0) @binding(0) var<storage, read> own: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@if(RESIDUAL || BIAS) @group(0) @binding(4) var<storage, read> residual: array<f32>;

@if(VEC4) fn load_own(row: u32, k4: u32, K: u32) -> vec4f { return own[row * (K / 4u) + k4]; }
@if(!VEC4) fn load_own(row: u32, k4: u32, K: u32) -> vec4f {
  let base = row * K;
  var v = vec4f();
  for (var i = 0u; i < 4u; i++) { if (4u * k4 + i < K) { v[i] = own[base + 4u * k4 + i]; } }
  return v;
}

fn store(row: u32, column: u32, sum: f32) {
  let i = row * sizes.N_STRIDE + sizes.N_OFFSET + column;
  var value = sizes.ALPHA * sum;
  @if(RESIDUAL) value += residual[i];
  @if(BIAS) value += residual[sizes.N_OFFSET + column];
  @if(ACCUMULATE) value += out[i];
  out[i] = value;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) local_index: u32) {
  let K = sizes.K;
  let N = sizes.N;
  let T = arrayLength(&out) / sizes.N_STRIDE;
  let column_blocks = (N + COLUMNS - 1u) / COLUMNS;
  let block = workgroup_index(workgroup, workgroups) * WORKGROUP + local_index;
  // Neighbouring invocations share their columns and differ in rows, so that one weight load serves many of them.
  let row_blocks = (T + ROWS - 1u) / ROWS;
  if (block >= row_blocks * column_blocks) { return; }
  let row0 = (block % row_blocks) * ROWS;
  let column0 = (block / row_blocks) * COLUMNS;

  //# for r in ROWS
  //# for c in COLUMNS
  var sum$r_$c = 0.0;
  //# end
  //# end
  for (var k4 = 0u; k4 < (K + 3u) / 4u; k4++) {
    //# for r in ROWS
    let x$r = load_own(min(row0 + $ru, T - 1u), k4, K);
    //# end
    //# for c in COLUMNS
    let w$c = load_other(min(column0 + $cu, N - 1u), k4, K);
    //# for r in ROWS
    sum$r_$c += dot(x$r, w$c);
    //# end
    //# end
  }
  // One store in loops whose lengths only the device knows: a CPU adapter takes seconds to compile ROWS * COLUMNS of them.
  var sums = array<f32, ROWS * COLUMNS>(
    //# for r in ROWS
    //# for c in COLUMNS
    sum$r_$c,
    //# end
    //# end
  );
  let row_end = min(ROWS, T - row0);
  let column_end = min(COLUMNS, N - column0);
  for (var r = 0u; r < row_end; r++) {
    for (var c = 0u; c < column_end; c++) { store(row0 + r, column0 + c, sums[r * COLUMNS + c]); }
  }
}
