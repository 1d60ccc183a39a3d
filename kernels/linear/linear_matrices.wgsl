// linear_matrices: a product of linear_operands.wgsl on tensor cores (chromium-experimental-subgroup-matrix)
//
// A workgroup of four subgroups of 32 makes 128 x 128 elements of out, DEPTH (16 or 32) steps of the sum at a time. Both
// operands are staged in shared memory as f16, whatever they are stored in; each subgroup multiplies 64 x 64 of them as
// 4 x 4 matrices of 16 x 16, f16 x f16 + f32. Sums leave through shared memory, 16 x 16 at a time, so that the edges of
// out, ALPHA, RESIDUAL and ACCUMULATE are handled in one place. Operands must stay below 65504. Needs 16 KiB of shared
// memory, 24 KiB for a depth of 32. linear_matrices.raw.wgsl holds the entry point.
import package::shared::grid::workgroup_index;
import package::linear::linear_operands::depth_count;
import package::linear::linear_operands::other_along_columns;
import package::linear::linear_operands::other_along_depth;
import package::linear::linear_operands::own_along_depth;
import package::linear::linear_operands::own_along_rows;
import package::linear::linear_operands::row_count;
import package::linear::linear_operands::run_depth;
import package::linear::linear_operands::sizes;
import package::linear::linear_operands::store;
import package::linear::linear_operands::within;
import constants::DEPTH;

enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

const TILE = 128u;
const EDGE = 16u;
// Padding keeps the rows of a matrix in different banks.
const DEPTH_STRIDE = DEPTH + 8u;

/// [rows, depth] and [columns, depth], padded.
var<workgroup> own_tile: array<f16, TILE * DEPTH_STRIDE>;
var<workgroup> other_tile: array<f16, TILE * DEPTH_STRIDE>;
var<workgroup> results: array<f32, 4u * EDGE * EDGE>;

fn stage_own(i: u32, first_row: u32, first_depth: u32) {
  @if(!WEIGHT) {
    let row = i / (DEPTH / 4u);
    let depth4 = i % (DEPTH / 4u);
    let v = sizes.STAGING * within(own_along_depth(first_row + row, first_depth / 4u + depth4), first_depth + 4u * depth4);
    for (var e = 0u; e < 4u; e++) { own_tile[row * DEPTH_STRIDE + 4u * depth4 + e] = f16(v[e]); }
  }
  @if(WEIGHT) {
    let depth = i / (TILE / 4u);
    let row4 = i % (TILE / 4u);
    let v = sizes.STAGING * within(own_along_rows(first_depth + depth, first_row / 4u + row4), first_depth + depth);
    for (var e = 0u; e < 4u; e++) { own_tile[(4u * row4 + e) * DEPTH_STRIDE + depth] = f16(v[e]); }
  }
}

fn stage_other(i: u32, first_column: u32, first_depth: u32) {
  @if(FORWARD) {
    let column = i / (DEPTH / 4u);
    let depth4 = i % (DEPTH / 4u);
    let v = other_along_depth(first_column + column, first_depth / 4u + depth4);
    for (var e = 0u; e < 4u; e++) { other_tile[column * DEPTH_STRIDE + 4u * depth4 + e] = f16(v[e]); }
  }
  @if(!FORWARD) {
    let depth = i / (TILE / 4u);
    let column4 = i % (TILE / 4u);
    let v = other_along_columns(first_depth + depth, first_column / 4u + column4);
    for (var e = 0u; e < 4u; e++) { other_tile[(4u * column4 + e) * DEPTH_STRIDE + depth] = f16(v[e]); }
  }
}

fn row_blocks() -> u32 { return (row_count() + TILE - 1u) / TILE; }
fn depths() -> u32 { return depth_count(); }
fn block_of(workgroup: vec3u, workgroups: vec3u) -> u32 { return workgroup_index(workgroup, workgroups); }
fn run_of(runs: u32) -> u32 { return run_depth(runs); }
fn store_result(row: u32, column4: u32, sum: vec4f, run: u32) { store(row, column4, sum, run); }
