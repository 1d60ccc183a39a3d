// linear_matrices: a product of linear_operands.wgsl on tensor cores (chromium-experimental-subgroup-matrix)
//
// SUBGROUPS (4 or 8) subgroups of SUBGROUP invocations make a tile of out, two to a row of them, DEPTH steps of the sum (a slab) at a
// time. Both operands are staged in shared memory as f16, whatever they are stored in and the way they lie: depth runs along the
// rows of a staged operand where it does so in memory, and down the columns where not, which the load of a matrix undoes for nothing.
// Each subgroup multiplies 4 x 4, 2 x 2 or 1 x 1 (BLOCK_SIDE) matrices of MATRIX_M x MATRIX_N, f16 x f16 + f32, MATRIX_K deep. Those shapes are the
// adapter's: 16 x 16 x 16 (NVIDIA), 8 x 8 x 8 (Apple, lavapipe), 8 x 16 x 16 (Intel).
//
//   BUFFERS 1   a slab is loaded and staged, everyone waits, it is multiplied, everyone waits
//   BUFFERS 2   a slab is staged from registers, everyone waits, the next is loaded into registers while this one is
//               multiplied; the slab after it goes into the other buffer, so that one barrier a slab is enough
//
// Sums leave through shared memory, a strip of STRIP_SIDE matrices at a time (STRIPS to a row of them), so that the edges of out,
// ALPHA, RESIDUAL and ACCUMULATE are handled in one place. Operands times STAGING must stay below 65504. Every form adds in the
// same order and gives the same bits. src/ops/linear/matrix-tiles.ts says which form takes how much shared memory, and
// linear_matrices.raw.wgsl holds the entry point.
import package::shared::grid::workgroup_index;
import package::linear::linear_operands::base_depth;
import package::linear::linear_operands::column_count;
import package::linear::linear_operands::depth_count;
import package::linear::linear_operands::other;
import package::linear::linear_operands::other_along_columns;
import package::linear::linear_operands::other_along_depth;
import package::linear::linear_operands::own;
import package::linear::linear_operands::own_along_depth;
import package::linear::linear_operands::own_along_rows;
import package::linear::linear_operands::own_place_along_depth;
import package::linear::linear_operands::own_place_along_rows;
import package::linear::linear_operands::place_along_columns;
import package::linear::linear_operands::place_along_depth;
import package::linear::linear_operands::row_count;
import package::linear::linear_operands::split_depth;
import package::linear::linear_operands::sizes;
import package::linear::linear_operands::store;
import package::linear::linear_operands::within;
import constants::BLOCK_SIDE;
import constants::BUFFERS;
import constants::DEPTH;
import constants::GROUP;
import constants::MATRIX_K;
import constants::MATRIX_M;
import constants::MATRIX_N;
import constants::OTHER_AHEAD;
import constants::OWN_AHEAD;
import constants::PADDING;
import constants::STRIPS;
import constants::STRIP_SIDE;
import constants::SUBGROUP;
import constants::SUBGROUPS;

enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

/// The adapter's matrices.
const EDGE_M = u32(MATRIX_M);
const EDGE_N = u32(MATRIX_N);
const EDGE_K = u32(MATRIX_K);

/// Invocations of the workgroup, and what it makes of out.
const INVOCATIONS = u32(SUBGROUPS) * SUBGROUP;
const ROWS = u32(SUBGROUPS) / 2u * u32(BLOCK_SIDE) * EDGE_M;
const COLUMNS = 2u * u32(BLOCK_SIDE) * EDGE_N;
/// vec4s of a slab.
const OWN_VEC4S = ROWS * DEPTH / 4u;
const OTHER_VEC4S = COLUMNS * DEPTH / 4u;

// PADDING elements: neighbouring rows of a matrix then lie in different banks.
@if(WEIGHT) const OWN_BY_DEPTH = true;
@else const OWN_BY_DEPTH = false;
@if(FORWARD) const OTHER_BY_DEPTH = false;
@else const OTHER_BY_DEPTH = true;
const OWN_STRIDE = select(DEPTH, ROWS, OWN_BY_DEPTH) + PADDING;
const OTHER_STRIDE = select(DEPTH, COLUMNS, OTHER_BY_DEPTH) + PADDING;

/// [rows, depth], or [depth, rows] where OWN_BY_DEPTH; the other operand likewise with columns. Rows are padded.
const OWN_BUFFER = select(ROWS, DEPTH, OWN_BY_DEPTH) * OWN_STRIDE;
const OTHER_BUFFER = select(COLUMNS, DEPTH, OTHER_BY_DEPTH) * OTHER_STRIDE;
var<workgroup> own_tile: array<f16, BUFFERS * OWN_BUFFER>;
var<workgroup> other_tile: array<f16, BUFFERS * OTHER_BUFFER>;
/// A strip of the results of each subgroup.
const STRIP = STRIP_SIDE * EDGE_N;
var<workgroup> results: array<f32, SUBGROUPS * EDGE_M * STRIP>;

/// Whether a depth is one of the base product, whose operands are staged as they are stored where that is f16.
fn is_base(depth: u32) -> bool {
  @if(LOW_RANK) return depth < base_depth();
  @else return true;
}

/// vec4 i of a slab of the own operand, and where it is staged.
@if(!WEIGHT) fn fetch_own(i: u32, first_row: u32, first_depth: u32) -> vec4<f16> {
  let row = first_row + i / (DEPTH / 4u);
  let depth = first_depth + 4u * (i % (DEPTH / 4u));
  @if(OWN_HALF) {
    if (is_base(depth)) { return within_half(bitcast<vec4<f16>>(own[own_place_along_depth(row, depth / 4u)]), depth); }
  }
  return vec4<f16>(sizes.STAGING * within(own_along_depth(row, depth / 4u), depth));
}
@if(WEIGHT) fn fetch_own(i: u32, first_row: u32, first_depth: u32) -> vec4<f16> {
  let row4 = first_row / 4u + i % (ROWS / 4u);
  let depth = first_depth + i / (ROWS / 4u);
  @if(OWN_HALF) return within_half(bitcast<vec4<f16>>(own[own_place_along_rows(depth, row4)]), depth);
  @if(!OWN_HALF) return vec4<f16>(sizes.STAGING * within(own_along_rows(depth, row4), depth));
}
/// `within`, of what is staged as it is stored.
fn within_half(v: vec4<f16>, depth: u32) -> vec4<f16> {
  return select(vec4<f16>(), v, depth < depth_count());
}
fn own_place(i: u32) -> u32 {
  if (OWN_BY_DEPTH) { return i / (ROWS / 4u) * OWN_STRIDE + 4u * (i % (ROWS / 4u)); }
  return i / (DEPTH / 4u) * OWN_STRIDE + 4u * (i % (DEPTH / 4u));
}

/// vec4 i of a slab of the other operand, and where it is staged.
@if(FORWARD) fn fetch_other(i: u32, first_column: u32, first_depth: u32) -> vec4<f16> {
  let column = first_column + i / (DEPTH / 4u);
  let depth4 = first_depth / 4u + i % (DEPTH / 4u);
  @if(W_HALF && !W_BF16) { if (is_base(4u * depth4)) { return bitcast<vec4<f16>>(other[place_along_depth(column, depth4)]); } }
  return vec4<f16>(other_along_depth(column, depth4));
}
@if(!FORWARD) fn fetch_other(i: u32, first_column: u32, first_depth: u32) -> vec4<f16> {
  let depth = first_depth + i / (COLUMNS / 4u);
  let column4 = first_column / 4u + i % (COLUMNS / 4u);
  @if(W_HALF && !W_BF16) { if (is_base(depth)) { return bitcast<vec4<f16>>(other[place_along_columns(depth, column4)]); } }
  return vec4<f16>(other_along_columns(depth, column4));
}
fn other_place(i: u32) -> u32 {
  if (OTHER_BY_DEPTH) { return i / (COLUMNS / 4u) * OTHER_STRIDE + 4u * (i % (COLUMNS / 4u)); }
  return i / (DEPTH / 4u) * OTHER_STRIDE + 4u * (i % (DEPTH / 4u));
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

/// The row block and the column block of a workgroup. Workgroups that run at the same time have neighbouring numbers i; walked down
/// a group of GROUP row blocks before the next column block, some 130 of them touch 8 + 17 operand slabs instead of 128 + 2,
/// which the others then find in the L2 cache. Of R row blocks and C column blocks:
///
///   group   g = floor(i / (GROUP C))          height  h = min(GROUP, R - GROUP g), fewer in a ragged last group
///   row     GROUP g + (i mod GROUP C) mod h   column  floor((i mod GROUP C) / h)
///
/// A folded grid may have more workgroups than R C. Those get a row past R or a column past C, where nothing is stored.
fn block_of(workgroup: vec3u, workgroups: vec3u) -> vec2u {
  let row_blocks = (row_count() + ROWS - 1u) / ROWS;
  let column_blocks = (column_count() + COLUMNS - 1u) / COLUMNS;
  let i = workgroup_index(workgroup, workgroups);
  let first = i / (GROUP * column_blocks) * GROUP;
  let height = select(u32(GROUP), min(GROUP, row_blocks - first), first < row_blocks);
  let within_group = i % (GROUP * column_blocks);
  return vec2u(first + within_group % height, within_group / height);
}

fn depths() -> u32 { return depth_count(); }
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
