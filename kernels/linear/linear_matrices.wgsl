// linear_matrices: a product of linear_operands.wgsl on tensor cores (chromium-experimental-subgroup-matrix)
//
// Four subgroups of SUBGROUP invocations make a tile of out, two by two, DEPTH steps of the sum at a time. Both operands are
// staged in shared memory as f16, whatever they are stored in and the way they lie: depth runs along the rows of a staged
// operand where it does so in memory, and down the columns where not, which the load of a matrix undoes for nothing.
// Each subgroup multiplies 4 x 4 or 2 x 2 (BLOCK_SIDE) matrices of MATRIX_M x MATRIX_N, f16 x f16 + f32, MATRIX_K deep. Those shapes are the
// adapter's: 16 x 16 x 16 (NVIDIA), 8 x 8 x 8 (Apple, lavapipe), 8 x 16 x 16 (Intel).
// Sums leave through shared memory, a row of matrices at a time, so that the edges of out, ALPHA, RESIDUAL and ACCUMULATE are
// handled in one place. Operands times STAGING must stay below 65504. With matrices of 16 x 16 x 16, shared memory takes
// 28 KiB at a depth of 16 and 36 KiB at 32. linear_matrices.raw.wgsl holds the entry point.
import package::shared::grid::workgroup_index;
import package::linear::linear_operands::depth_count;
import package::linear::linear_operands::other_along_columns;
import package::linear::linear_operands::other_along_depth;
import package::linear::linear_operands::own_along_depth;
import package::linear::linear_operands::own_along_rows;
import package::linear::linear_operands::row_count;
import package::linear::linear_operands::split_depth;
import package::linear::linear_operands::sizes;
import package::linear::linear_operands::store;
import package::linear::linear_operands::within;
import constants::BLOCK_SIDE;
import constants::DEPTH;
import constants::MATRIX_K;
import constants::MATRIX_M;
import constants::MATRIX_N;
import constants::SUBGROUP;

enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

/// The adapter's matrices.
const EDGE_M = u32(MATRIX_M);
const EDGE_N = u32(MATRIX_N);
const EDGE_K = u32(MATRIX_K);

/// Invocations of the workgroup, and what it makes of out.
const INVOCATIONS = 4u * SUBGROUP;
const BLOCK = u32(BLOCK_SIDE);
const ROWS = 2u * BLOCK * EDGE_M;
const COLUMNS = 2u * BLOCK * EDGE_N;

// Eight elements of padding: neighbouring rows of a matrix then lie in different banks.
@if(WEIGHT) const OWN_BY_DEPTH = true;
@else const OWN_BY_DEPTH = false;
@if(FORWARD) const OTHER_BY_DEPTH = false;
@else const OTHER_BY_DEPTH = true;
const OWN_STRIDE = select(DEPTH, ROWS, OWN_BY_DEPTH) + 8u;
const OTHER_STRIDE = select(DEPTH, COLUMNS, OTHER_BY_DEPTH) + 8u;

/// [rows, depth], or [depth, rows] where OWN_BY_DEPTH; the other operand likewise with columns. Rows are padded.
var<workgroup> own_tile: array<f16, select(ROWS, DEPTH, OWN_BY_DEPTH) * OWN_STRIDE>;
var<workgroup> other_tile: array<f16, select(COLUMNS, DEPTH, OTHER_BY_DEPTH) * OTHER_STRIDE>;
/// A row of the matrices of each subgroup.
const STRIP = BLOCK * EDGE_N;
var<workgroup> results: array<f32, 4u * EDGE_M * STRIP>;

/// Stages vec4 i of the own operand.
fn stage_own(i: u32, first_row: u32, first_depth: u32) {
  @if(!WEIGHT) {
    let row = i / (DEPTH / 4u);
    let depth4 = i % (DEPTH / 4u);
    let v = within(own_along_depth(first_row + row, first_depth / 4u + depth4), first_depth + 4u * depth4);
    put_own(row * OWN_STRIDE + 4u * depth4, vec4<f16>(sizes.STAGING * v));
  }
  @if(WEIGHT) {
    let depth = i / (ROWS / 4u);
    let row4 = i % (ROWS / 4u);
    let v = within(own_along_rows(first_depth + depth, first_row / 4u + row4), first_depth + depth);
    put_own(depth * OWN_STRIDE + 4u * row4, vec4<f16>(sizes.STAGING * v));
  }
}

/// Stages vec4 i of the other operand.
fn stage_other(i: u32, first_column: u32, first_depth: u32) {
  @if(FORWARD) {
    let column = i / (DEPTH / 4u);
    let depth4 = i % (DEPTH / 4u);
    put_other(column * OTHER_STRIDE + 4u * depth4, vec4<f16>(other_along_depth(first_column + column, first_depth / 4u + depth4)));
  }
  @if(!FORWARD) {
    let depth = i / (COLUMNS / 4u);
    let column4 = i % (COLUMNS / 4u);
    put_other(depth * OTHER_STRIDE + 4u * column4, vec4<f16>(other_along_columns(first_depth + depth, first_column / 4u + column4)));
  }
}

fn put_own(at: u32, v: vec4<f16>) {
  own_tile[at] = v.x;
  own_tile[at + 1u] = v.y;
  own_tile[at + 2u] = v.z;
  own_tile[at + 3u] = v.w;
}
fn put_other(at: u32, v: vec4<f16>) {
  other_tile[at] = v.x;
  other_tile[at + 1u] = v.y;
  other_tile[at + 2u] = v.z;
  other_tile[at + 3u] = v.w;
}

fn row_blocks() -> u32 { return (row_count() + ROWS - 1u) / ROWS; }
fn depths() -> u32 { return depth_count(); }
fn block_of(workgroup: vec3u, workgroups: vec3u) -> u32 { return workgroup_index(workgroup, workgroups); }
fn depth_of_split(splits: u32) -> u32 { return split_depth(splits); }

/// Stores the strip at `scratch` of results, whose first element is (row, column) of out; a subgroup's invocations share it.
fn store_strip(scratch: u32, subgroup_lane: u32, row: u32, column: u32, split: u32) {
  for (var i = subgroup_lane; i < EDGE_M * STRIP / 4u; i += SUBGROUP) {
    let own_row = i / (STRIP / 4u);
    let column4 = i % (STRIP / 4u);
    let at = scratch + 4u * i;
    store(row + own_row, column / 4u + column4, vec4f(results[at], results[at + 1u], results[at + 2u], results[at + 3u]), split);
  }
}
