// linear_rows_matrices: a forward product of linear_operands.wgsl for the rows of a decoding step, on tensor cores
//
// A workgroup makes ROW_MATRICES x COLUMN_MATRICES matrices of out, from slabs of SUBGROUPS x DEPTH steps of the sum. Each of its SUBGROUPS
// subgroups multiplies DEPTH steps of every slab, so that also a narrow result has many of them read weights, which is what limits
// it. Operands are staged in shared memory as f16, the next slab in registers while one is multiplied. At the end the sums of the
// subgroups are folded through shared memory, in order.
// The order of a sum does not depend on the number of rows, nor on ROW_MATRICES: a sequence gets the same bits alone and in any batch.
// Row blocks of the same columns come one after the other, so that weights are read once from memory.
// src/ops/linear/matrix-rows.ts has the sizes; linear_rows_matrices.raw.wgsl holds the entry point.
import package::shared::grid::workgroup_index;
import package::linear::linear_operands::depth_count;
import package::linear::linear_operands::other_along_depth;
import package::linear::linear_operands::own_along_depth;
import package::linear::linear_operands::row_count;
import package::linear::linear_operands::sizes;
import package::linear::linear_operands::store;
import package::linear::linear_operands::within;
import constants::COLUMN_MATRICES;
import constants::DEPTH;
import constants::MATRIX_K;
import constants::MATRIX_M;
import constants::MATRIX_N;
import constants::OTHER_AHEAD;
import constants::OWN_AHEAD;
import constants::PADDING;
import constants::ROW_MATRICES;
import constants::SUBGROUP;
import constants::SUBGROUPS;

enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

/// The adapter's matrices.
const EDGE_M = u32(MATRIX_M);
const EDGE_N = u32(MATRIX_N);
const EDGE_K = u32(MATRIX_K);

const INVOCATIONS = u32(SUBGROUPS) * SUBGROUP;
const ROWS = u32(ROW_MATRICES) * EDGE_M;
const COLUMNS = u32(COLUMN_MATRICES) * EDGE_N;
const SLAB = u32(SUBGROUPS) * DEPTH;
// Neighbouring rows of a matrix lie in different banks.
const PITCH = SLAB + PADDING;

/// [rows, slab] and [columns, slab].
var<workgroup> own_tile: array<f16, ROWS * PITCH>;
var<workgroup> other_tile: array<f16, COLUMNS * PITCH>;
/// A matrix of rows of each subgroup's sums.
var<workgroup> results: array<f32, SUBGROUPS * EDGE_M * COLUMNS>;

/// The first row and the first column of a workgroup. A folded grid may have more: those get a column past the end, where nothing is stored.
fn block_of(workgroup: vec3u, workgroups: vec3u) -> vec2u {
  let block = workgroup_index(workgroup, workgroups);
  let row_blocks = (row_count() + ROWS - 1u) / ROWS;
  return vec2u(block % row_blocks * ROWS, block / row_blocks * COLUMNS);
}

fn depths() -> u32 { return depth_count(); }

/// vec4 i of a slab of either operand, and where it is staged.
fn fetch_own(i: u32, first_row: u32, slab: u32) -> vec4<f16> {
  let depth = slab + 4u * (i % (SLAB / 4u));
  return vec4<f16>(sizes.STAGING * within(own_along_depth(first_row + i / (SLAB / 4u), depth / 4u), depth));
}
fn fetch_other(i: u32, first_column: u32, slab: u32) -> vec4<f16> {
  return vec4<f16>(other_along_depth(first_column + i / (SLAB / 4u), slab / 4u + i % (SLAB / 4u)));
}
fn place(i: u32) -> u32 { return i / (SLAB / 4u) * PITCH + 4u * (i % (SLAB / 4u)); }

fn put_own(i: u32, v: vec4<f16>) {
  let at = place(i);
  own_tile[at] = v.x;
  own_tile[at + 1u] = v.y;
  own_tile[at + 2u] = v.z;
  own_tile[at + 3u] = v.w;
}
fn put_other(i: u32, v: vec4<f16>) {
  let at = place(i);
  other_tile[at] = v.x;
  other_tile[at + 1u] = v.y;
  other_tile[at + 2u] = v.z;
  other_tile[at + 3u] = v.w;
}

/// Folds what all subgroups have in `results`, EDGE_M rows from `row` on, and stores it.
fn fold(lane: u32, row: u32, first_column: u32) {
  for (var i = lane; i < EDGE_M * COLUMNS / 4u; i += INVOCATIONS) {
    var sum = vec4f();
    for (var s = 0u; s < SUBGROUPS; s++) {
      let at = s * EDGE_M * COLUMNS + 4u * i;
      sum += vec4f(results[at], results[at + 1u], results[at + 2u], results[at + 3u]);
    }
    store(row + i / (COLUMNS / 4u), first_column / 4u + i % (COLUMNS / 4u), sum, 0u);
  }
}
