// linear_backward: the two gradients of a linear layer
//
//   INPUT     dx[t, k] (+)= ALPHA * sum_n dY[t, n] * W[n, k]    own = dy, other = w, out = dx: [T, K] f32
//   WEIGHT    dw[n, k] (+)= ALPHA * sum_t dY[t, n] * X[t, k]    own = dy, other = x, out = dw: [N, K] f32
//
//   dy: [T, N_STRIDE] f32, columns N_OFFSET .. N_OFFSET + N    other: [_, K], see linear_plain_operands.wgsl
//   ACCUMULATE adds to out, otherwise out is overwritten.
//   WEIGHT is split over tokens (split-K): repetitions of the grid share them, and their results lie one after the other.
//
// The other operand is read as it lies, row by row: no transposed copy. One invocation makes ROWS x (4 * COLUMNS4) elements of out
// in registers, which are written out (unroll.ts), and walks the sum in order, so that equal inputs give equal bits; no barriers
// and no shared memory.
import package::linear::linear_plain_operands::load_other;
import package::linear::linear_plain_operands::other;
import package::linear::linear_plain_operands::sizes;
import package::shared::grid::workgroup_index;
import constants::ROWS;
import constants::COLUMNS4;
import constants::WORKGROUP;

@group(0) @binding(0) var<storage, read> own: array<f32>;
@if(VEC4) @group(0) @binding(2) var<storage, read_write> out: array<vec4f>;
@else @group(0) @binding(2) var<storage, read_write> out: array<f32>;

/// Elements of x and of the results in one element of their bindings.
@if(VEC4) const VECTOR = 4u;
@else const VECTOR = 1u;

@if(INPUT) fn row_count() -> u32 { return VECTOR * arrayLength(&out) / sizes.K; }
@if(WEIGHT) fn row_count() -> u32 { return sizes.N; }
@if(INPUT) fn depth_count() -> u32 { return sizes.N; }
@if(WEIGHT) fn depth_count() -> u32 { return VECTOR * arrayLength(&other) / sizes.K; }

/// Of dy, from its column N_OFFSET on.
@if(INPUT) fn load_own(row: u32, depth: u32, first: u32, stride: u32) -> f32 { return own[first + row * stride + depth]; }
@if(WEIGHT) fn load_own(row: u32, depth: u32, first: u32, stride: u32) -> f32 { return own[first + depth * stride + row]; }

@if(VEC4) fn store(row: u32, k4: u32, sum: vec4f) {
  let i = row * (sizes.K / 4u) + k4;
  @if(ACCUMULATE) out[i] += sum;
  @else out[i] = sum;
}
@if(!VEC4) fn store(row: u32, k4: u32, sum: vec4f) {
  for (var j = 0u; j < 4u; j++) {
    if (4u * k4 + j >= sizes.K) { return; }
    let i = row * sizes.K + 4u * k4 + j;
    @if(ACCUMULATE) out[i] += sum[j];
    @else out[i] = sum[j];
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) local_index: u32) {
  let K = sizes.K;
  let stride = sizes.N_STRIDE;
  let first = sizes.N_OFFSET;
  let rows = row_count();
  let depths = depth_count();
  let k4_count = (K + 3u) / 4u;
  let column_blocks = (k4_count + COLUMNS4 - 1u) / COLUMNS4;
  let row_blocks = (rows + ROWS - 1u) / ROWS;
  let block = workgroup_index(workgroup, workgroups) * WORKGROUP + local_index;
  if (block >= row_blocks * column_blocks) { return; }
  let row0 = (block % row_blocks) * ROWS;
  let k40 = (block / row_blocks) * COLUMNS4;

  //# for r in ROWS
  //# for c in COLUMNS4
  var sum$r_$c = vec4f();
  //# end
  //# end
  let split = (depths + workgroups.z - 1u) / workgroups.z;
  for (var depth = workgroup.z * split; depth < min(depths, (workgroup.z + 1u) * split); depth++) {
    //# for c in COLUMNS4
    let other$c = load_other(depth, min(k40 + $cu, k4_count - 1u), K);
    //# end
    //# for r in ROWS
    let g$r = load_own(min(row0 + $ru, rows - 1u), depth, first, stride);
    //# for c in COLUMNS4
    sum$r_$c += g$r * other$c;
    //# end
    //# end
  }
  // One store in loops whose lengths only the device knows: a CPU adapter takes seconds to compile ROWS * COLUMNS4 of them.
  var sums = array<vec4f, ROWS * COLUMNS4>(
    //# for r in ROWS
    //# for c in COLUMNS4
    sum$r_$c,
    //# end
    //# end
  );
  let row_end = min(ROWS, rows - row0);
  let column_end = min(COLUMNS4, k4_count - k40);
  for (var r = 0u; r < row_end; r++) {
    for (var c = 0u; c < column_end; c++) {
      store(workgroup.z * rows + row0 + r, k40 + c, sizes.ALPHA * sums[r * COLUMNS4 + c]);
    }
  }
}
