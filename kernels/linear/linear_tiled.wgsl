// linear_tiled: a product of linear_operands.wgsl through shared memory, for GPUs
//
// A workgroup of 16 x 16 invocations makes 64 x 64 elements of out, 16 steps of the sum at a time: every invocation loads
// one vec4 of either operand into shared memory, which then lies with rows (or columns) side by side, and adds up 4 x 4
// products. STAGED_F16 keeps the tiles in 16 bits (half the shared memory and its traffic; operands must stay below
// 65504); sums are f32. Needs 8.5 KiB of shared memory, or half of it.
// ROLLED: the loop over a tile's depth stays one, which CPU adapters take seconds less to compile.
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

@if(STAGED_F16) enable f16;

@if(STAGED_F16) alias Staged = vec4<f16>;
@else alias Staged = vec4<f32>;

const TILE = 64u;
const TILE4 = 16u;
const DEPTH = 16u;
// One vec4 more than a tile is wide: neighbours then do not wait for the same bank.
const STRIDE4 = TILE4 + 1u;

/// [depth, rows] and [depth, columns].
var<workgroup> own_tile: array<Staged, DEPTH * STRIDE4>;
var<workgroup> other_tile: array<Staged, DEPTH * STRIDE4>;

fn staged(v: vec4f) -> Staged {
  @if(STAGED_F16) return Staged(sizes.STAGING * v);
  @else return v;
}

fn stage_own(i: u32, first_row: u32, first_depth: u32) {
  @if(!WEIGHT) {
    let row = i / 4u;
    let depth4 = i % 4u;
    let v = staged(within(own_along_depth(first_row + row, first_depth / 4u + depth4), first_depth + 4u * depth4));
    for (var e = 0u; e < 4u; e++) { own_tile[(4u * depth4 + e) * STRIDE4 + row / 4u][row % 4u] = v[e]; }
  }
  @if(WEIGHT) {
    let depth = i / TILE4;
    own_tile[depth * STRIDE4 + i % TILE4] =
      staged(within(own_along_rows(first_depth + depth, first_row / 4u + i % TILE4), first_depth + depth));
  }
}

fn stage_other(i: u32, first_column: u32, first_depth: u32) {
  @if(FORWARD) {
    let column = i / 4u;
    let depth4 = i % 4u;
    let v = Staged(other_along_depth(first_column + column, first_depth / 4u + depth4));
    for (var e = 0u; e < 4u; e++) { other_tile[(4u * depth4 + e) * STRIDE4 + column / 4u][column % 4u] = v[e]; }
  }
  @if(!FORWARD) {
    let depth = i / TILE4;
    other_tile[depth * STRIDE4 + i % TILE4] = Staged(other_along_columns(first_depth + depth, first_column / 4u + i % TILE4));
  }
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local_index: u32,
) {
  // A 0 that no compiler can know.
  @if(ROLLED) let zero = workgroup.z / workgroups.z;
  @else const zero = 0u;
  let row_blocks = (row_count() + TILE - 1u) / TILE;
  let block = workgroup_index(workgroup, workgroups);
  let first_row = (block % row_blocks) * TILE;
  let first_column = (block / row_blocks) * TILE;
  let row4 = local_index / TILE4;
  let column4 = local_index % TILE4;

  var sums = mat4x4f();
  let depth = split_depth(workgroups.z);
  let end = min(depth_count(), (workgroup.z + 1u) * depth);
  for (var first_depth = workgroup.z * depth; first_depth < end; first_depth += DEPTH) {
    stage_own(local_index, first_row, first_depth);
    stage_other(local_index, first_column, first_depth);
    workgroupBarrier();
    for (var d = zero; d < DEPTH; d++) {
      let a = vec4f(own_tile[d * STRIDE4 + row4]);
      let b = vec4f(other_tile[d * STRIDE4 + column4]);
      sums += mat4x4f(a.x * b, a.y * b, a.z * b, a.w * b);
    }
    workgroupBarrier();
  }
  let row = first_row + 4u * row4;
  let rows = min(row + 4u, row_count());
  for (var r = row; r < rows; r++) { store(r, first_column / 4u + column4, sums[r - row], workgroup.z); }
}
