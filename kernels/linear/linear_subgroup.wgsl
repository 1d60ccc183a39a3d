// linear_subgroup: a product of linear_operands.wgsl, for CPU adapters whose subgroups have at least 8 invocations
//
// Every invocation makes 4 rows x 32 columns of out. What all need of the other operand, 4 deep, is 32 vec4: each invocation
// loads four of them and hands them on by broadcast, so that the adapter loads every element once per subgroup instead
// of once per invocation. Where one load is eight scalar ones, this takes a third of the time. No shared memory, no barriers.
import package::shared::grid::workgroup_index;
import package::shared::subgroup_loads::broadcast_high;
import package::shared::subgroup_loads::broadcast_low;
import package::linear::linear_operands::column_count;
import package::linear::linear_operands::depth_count;
import package::linear::linear_operands::other_along_columns;
import package::linear::linear_operands::other_along_depth;
import package::linear::linear_operands::own_along_depth;
import package::linear::linear_operands::own_along_rows;
import package::linear::linear_operands::row_count;
import package::linear::linear_operands::store;
import package::linear::linear_operands::within;
import constants::WORKGROUP;

enable subgroups;

const COLUMNS4 = 8u;

/// The `share`-th vec4 that 4 steps of the sum need of the other operand, for columns from 4 * column4 on.
@if(FORWARD) fn shared_vector(share: u32, depth4: u32, column4: u32) -> vec4f {
  return other_along_depth(4u * column4 + share, depth4);
}
@if(!FORWARD) fn shared_vector(share: u32, depth4: u32, column4: u32) -> vec4f {
  return other_along_columns(4u * depth4 + share % 4u, column4 + share / 4u);
}

/// 4 rows of the own operand, 4 deep: column r belongs to row `row + r`.
@if(!WEIGHT) fn own_block(row: u32, depth4: u32) -> mat4x4f {
  return mat4x4f(
    own_along_depth(row, depth4), own_along_depth(row + 1u, depth4),
    own_along_depth(row + 2u, depth4), own_along_depth(row + 3u, depth4),
  );
}
@if(WEIGHT) fn own_block(row: u32, depth4: u32) -> mat4x4f {
  return transpose(mat4x4f(
    own_of_token(4u * depth4, row), own_of_token(4u * depth4 + 1u, row),
    own_of_token(4u * depth4 + 2u, row), own_of_token(4u * depth4 + 3u, row),
  ));
}
/// The number of tokens is no multiple of 4.
@if(WEIGHT) fn own_of_token(t: u32, row: u32) -> vec4f {
  return within(own_along_rows(t, row / 4u), t);
}

/// 4 columns x 4 deep of the other operand. Column d belongs to depth d.
fn by_depth(block: mat4x4f) -> mat4x4f {
  @if(FORWARD) return transpose(block);
  @else return block;
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local_index: u32,
  @builtin(subgroup_invocation_id) subgroup_index: u32,
) {
  // Columns are the same for a whole workgroup, so that its invocations can share them.
  let row_blocks = (row_count() + 4u * WORKGROUP - 1u) / (4u * WORKGROUP);
  let block = workgroup_index(workgroup, workgroups);
  let row = 4u * ((block % row_blocks) * WORKGROUP + local_index);
  let column4 = (block / row_blocks) * COLUMNS4;
  let share = subgroup_index % 8u;

  var sum0 = mat4x4f();
  var sum1 = mat4x4f();
  var sum2 = mat4x4f();
  var sum3 = mat4x4f();
  var sum4 = mat4x4f();
  var sum5 = mat4x4f();
  var sum6 = mat4x4f();
  var sum7 = mat4x4f();
  let depths4 = (depth_count() + 3u) / 4u;
  for (var depth4 = 0u; depth4 < depths4; depth4++) {
    let q = own_block(row, depth4);
    let v0 = shared_vector(share, depth4, column4);
    let v1 = shared_vector(share + 8u, depth4, column4);
    let v2 = shared_vector(share + 16u, depth4, column4);
    let v3 = shared_vector(share + 24u, depth4, column4);
    sum0 += by_depth(broadcast_low(v0)) * q;
    sum1 += by_depth(broadcast_high(v0)) * q;
    sum2 += by_depth(broadcast_low(v1)) * q;
    sum3 += by_depth(broadcast_high(v1)) * q;
    sum4 += by_depth(broadcast_low(v2)) * q;
    sum5 += by_depth(broadcast_high(v2)) * q;
    sum6 += by_depth(broadcast_low(v3)) * q;
    sum7 += by_depth(broadcast_high(v3)) * q;
  }
  // One store in loops whose lengths only the device knows: a CPU adapter takes seconds to compile 32 of them.
  var sums = array(sum0, sum1, sum2, sum3, sum4, sum5, sum6, sum7);
  let rows = min(row + 4u, row_count());
  let columns4 = min(column4 + COLUMNS4, column_count() / 4u);
  for (var r = row; r < rows; r++) {
    for (var c = column4; c < columns4; c++) { store(r, c, sums[c - column4][r - row], 0u); }
  }
}
