// linear_lanes: the three products of a linear layer, for adapters whose subgroups have at least 8 lanes
//
//   FORWARD   y[t, n]  (+)= ALPHA * sum_k X[t, k] * W[n, k]  (+ R[t, n])    own = x,   shared = w,  out = y
//   INPUT     dx[t, k] (+)= ALPHA * sum_n dY[t, n] * W[n, k]                own = dy,  shared = w,  out = dx
//   WEIGHT    dw[n, k] (+)= ALPHA * sum_t dY[t, n] * X[t, k]                own = dy,  shared = x,  out = dw
//
//   x: [T, K] f32    y, dy, residual: [T, N_STRIDE] f32, columns N_OFFSET .. N_OFFSET + N
//   w: [N, K] f32, or f16/bf16 packed in pairs    ACCUMULATE adds to out, otherwise out is overwritten.
//
//   sizes: (N, K, N_STRIDE, N_OFFSET), all multiples of 4, and ALPHA. T is the length of a binding.
//
// Every lane makes 4 rows x 32 columns of out. What all lanes need of the shared operand, 4 deep, is 32 vec4: each lane
// loads four of them and hands them on by broadcast, so that the adapter loads every element once per subgroup instead
// of once per lane. On CPU adapters, where one load is eight scalar ones, this takes a third of the time. Such large
// bodies take them half a second to compile, so sizes are data and all shapes share one pipeline. No shared memory, no
// barriers.
import package::grid::workgroup_index;
import package::half::widen_bf16;
import package::half::widen_f16;
import package::lanes::high_lanes;
import package::lanes::low_lanes;
import constants::WORKGROUP;

enable subgroups;

struct Sizes { N: u32, K: u32, N_STRIDE: u32, N_OFFSET: u32, ALPHA: f32 }

const COLUMNS4 = 8u;

@group(0) @binding(0) var<storage, read> own: array<vec4f>;
@if(W_HALF) @group(0) @binding(1) var<storage, read> shared_operand: array<vec2u>;
@else @group(0) @binding(1) var<storage, read> shared_operand: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;
@group(0) @binding(3) var<storage, read> sizes: Sizes;
@if(RESIDUAL) @group(0) @binding(4) var<storage, read> residual: array<vec4f>;

fn load_shared(i: u32) -> vec4f {
  @if(!W_HALF) return shared_operand[i];
  @if(W_HALF && W_BF16) return vec4f(widen_bf16(shared_operand[i].x), widen_bf16(shared_operand[i].y));
  @if(W_HALF && !W_BF16) return vec4f(widen_f16(shared_operand[i].x), widen_f16(shared_operand[i].y));
}

/// The `s`-th vec4 that 4 steps of the sum need of the shared operand, for columns from 4 * column4 on.
@if(FORWARD) fn shared_vector(s: u32, depth4: u32, column4: u32) -> vec4f {
  return load_shared(min(4u * column4 + s, sizes.N - 1u) * (sizes.K / 4u) + depth4);
}
@if(INPUT) fn shared_vector(s: u32, depth4: u32, column4: u32) -> vec4f {
  return load_shared((4u * depth4 + s % 4u) * (sizes.K / 4u) + min(column4 + s / 4u, sizes.K / 4u - 1u));
}
@if(WEIGHT) fn shared_vector(s: u32, depth4: u32, column4: u32) -> vec4f {
  let T = 4u * arrayLength(&shared_operand) / sizes.K;
  return load_shared(min(4u * depth4 + s % 4u, T - 1u) * (sizes.K / 4u) + min(column4 + s / 4u, sizes.K / 4u - 1u));
}

/// 4 rows of the own operand, 4 deep: column r belongs to row `row + r`.
@if(FORWARD) fn own_block(row: u32, rows: u32, depth4: u32) -> mat4x4f {
  return mat4x4f(
    own[min(row, rows - 1u) * (sizes.K / 4u) + depth4], own[min(row + 1u, rows - 1u) * (sizes.K / 4u) + depth4],
    own[min(row + 2u, rows - 1u) * (sizes.K / 4u) + depth4], own[min(row + 3u, rows - 1u) * (sizes.K / 4u) + depth4],
  );
}
@if(INPUT) fn own_block(row: u32, rows: u32, depth4: u32) -> mat4x4f {
  return mat4x4f(
    own[(min(row, rows - 1u) * sizes.N_STRIDE + sizes.N_OFFSET) / 4u + depth4], own[(min(row + 1u, rows - 1u) * sizes.N_STRIDE + sizes.N_OFFSET) / 4u + depth4],
    own[(min(row + 2u, rows - 1u) * sizes.N_STRIDE + sizes.N_OFFSET) / 4u + depth4], own[(min(row + 3u, rows - 1u) * sizes.N_STRIDE + sizes.N_OFFSET) / 4u + depth4],
  );
}
@if(WEIGHT) fn own_block(row: u32, rows: u32, depth4: u32) -> mat4x4f {
  let place = min(row, rows - 4u);
  return transpose(mat4x4f(
    own_of_token(4u * depth4, place), own_of_token(4u * depth4 + 1u, place),
    own_of_token(4u * depth4 + 2u, place), own_of_token(4u * depth4 + 3u, place),
  ));
}
/// dY[t, n .. n + 4], zero past the last token.
@if(WEIGHT) fn own_of_token(t: u32, n: u32) -> vec4f {
  let T = 4u * arrayLength(&shared_operand) / sizes.K;
  return select(vec4f(), own[(min(t, T - 1u) * sizes.N_STRIDE + sizes.N_OFFSET + n) / 4u], t < T);
}

/// 4 columns x 4 deep of the shared operand. Column d belongs to depth d.
fn by_depth(block: mat4x4f) -> mat4x4f {
  @if(FORWARD) return transpose(block);
  @else return block;
}

fn store(row: u32, column4: u32, sum: vec4f) {
  @if(FORWARD) if (4u * column4 >= sizes.N) { return; }
  @if(!FORWARD) if (4u * column4 >= sizes.K) { return; }
  @if(FORWARD) let i = (row * sizes.N_STRIDE + sizes.N_OFFSET) / 4u + column4;
  @if(!FORWARD) let i = row * (sizes.K / 4u) + column4;
  var value = sizes.ALPHA * sum;
  @if(RESIDUAL) value += residual[i];
  @if(ACCUMULATE) value += out[i];
  out[i] = value;
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
  @if(FORWARD) let rows = 4u * arrayLength(&out) / sizes.N_STRIDE;
  @if(INPUT) let rows = 4u * arrayLength(&out) / sizes.K;
  @if(WEIGHT) let rows = sizes.N;
  @if(FORWARD) let depths4 = sizes.K / 4u;
  @if(INPUT) let depths4 = sizes.N / 4u;
  @if(WEIGHT) let depths4 = (4u * arrayLength(&shared_operand) / sizes.K + 3u) / 4u;

  // Columns are the same for a whole workgroup, so that its lanes can share them.
  let row_blocks = (rows + 4u * WORKGROUP - 1u) / (4u * WORKGROUP);
  let block = workgroup_index(workgroup, workgroups);
  let row = 4u * ((block % row_blocks) * WORKGROUP + lane);
  let column4 = (block / row_blocks) * COLUMNS4;
  let share = subgroup_lane % 8u;

  var sum0 = mat4x4f();
  var sum1 = mat4x4f();
  var sum2 = mat4x4f();
  var sum3 = mat4x4f();
  var sum4 = mat4x4f();
  var sum5 = mat4x4f();
  var sum6 = mat4x4f();
  var sum7 = mat4x4f();
  for (var depth4 = 0u; depth4 < depths4; depth4++) {
    let q = own_block(row, rows, depth4);
    let v0 = shared_vector(share, depth4, column4);
    let v1 = shared_vector(share + 8u, depth4, column4);
    sum0 += by_depth(low_lanes(v0)) * q;
    sum1 += by_depth(high_lanes(v0)) * q;
    sum2 += by_depth(low_lanes(v1)) * q;
    sum3 += by_depth(high_lanes(v1)) * q;
    let v2 = shared_vector(share + 16u, depth4, column4);
    let v3 = shared_vector(share + 24u, depth4, column4);
    sum4 += by_depth(low_lanes(v2)) * q;
    sum5 += by_depth(high_lanes(v2)) * q;
    sum6 += by_depth(low_lanes(v3)) * q;
    sum7 += by_depth(high_lanes(v3)) * q;
  }
  for (var r = 0u; r < 4u; r++) {
    if (row + r >= rows) { break; }
    store(row + r, column4, sum0[r]);
    store(row + r, column4 + 1u, sum1[r]);
    store(row + r, column4 + 2u, sum2[r]);
    store(row + r, column4 + 3u, sum3[r]);
    store(row + r, column4 + 4u, sum4[r]);
    store(row + r, column4 + 5u, sum5[r]);
    store(row + r, column4 + 6u, sum6[r]);
    store(row + r, column4 + 7u, sum7[r]);
  }
}
