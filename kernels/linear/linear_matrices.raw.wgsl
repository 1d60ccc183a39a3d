// The entry point of linear_matrices.wgsl, appended to it after linking: WESL's linker refuses Dawn's experimental names.
// Matrices have names of their own instead of places in arrays, so that no driver need unroll a loop to keep them in registers.

alias Left = subgroup_matrix_left<f16, EDGE_K, EDGE_M>;
alias Right = subgroup_matrix_right<f16, EDGE_N, EDGE_K>;
alias Sum = subgroup_matrix_result<f32, EDGE_N, EDGE_M>;

fn left_at(row: u32, depth: u32) -> Left {
  if (OWN_BY_DEPTH) { return subgroupMatrixLoad<Left, col_major>(&own_tile, depth * OWN_STRIDE + row, OWN_STRIDE); }
  return subgroupMatrixLoad<Left, row_major>(&own_tile, row * OWN_STRIDE + depth, OWN_STRIDE);
}
fn right_at(column: u32, depth: u32) -> Right {
  if (OTHER_BY_DEPTH) { return subgroupMatrixLoad<Right, row_major>(&other_tile, depth * OTHER_STRIDE + column, OTHER_STRIDE); }
  return subgroupMatrixLoad<Right, col_major>(&other_tile, column * OTHER_STRIDE + depth, OTHER_STRIDE);
}

@compute @workgroup_size(INVOCATIONS)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
  let block = block_of(workgroup, workgroups);
  let first_row = (block % row_blocks()) * ROWS;
  let first_column = (block / row_blocks()) * COLUMNS;
  let own_row = (subgroup / 2u) * BLOCK * EDGE_M;
  let own_column = (subgroup % 2u) * BLOCK * EDGE_N;

  var s00: Sum; var s01: Sum; var s02: Sum; var s03: Sum;
  var s10: Sum; var s11: Sum; var s12: Sum; var s13: Sum;
  var s20: Sum; var s21: Sum; var s22: Sum; var s23: Sum;
  var s30: Sum; var s31: Sum; var s32: Sum; var s33: Sum;
  let depth = depth_of_split(workgroups.z);
  let end = min(depths(), (workgroup.z + 1u) * depth);
  for (var first_depth = workgroup.z * depth; first_depth < end; first_depth += DEPTH) {
    for (var i = lane; i < ROWS * DEPTH / 4u; i += INVOCATIONS) { stage_own(i, first_row, first_depth); }
    for (var i = lane; i < COLUMNS * DEPTH / 4u; i += INVOCATIONS) { stage_other(i, first_column, first_depth); }
    workgroupBarrier();
    for (var d = 0u; d < DEPTH; d += EDGE_K) {
      let left0 = left_at(own_row + 0u * EDGE_M, d);
      let left1 = left_at(own_row + 1u * EDGE_M, d);
      let right0 = right_at(own_column + 0u * EDGE_N, d);
      s00 = subgroupMatrixMultiplyAccumulate(left0, right0, s00);
      s10 = subgroupMatrixMultiplyAccumulate(left1, right0, s10);
      let right1 = right_at(own_column + 1u * EDGE_N, d);
      s01 = subgroupMatrixMultiplyAccumulate(left0, right1, s01);
      s11 = subgroupMatrixMultiplyAccumulate(left1, right1, s11);
      if (BLOCK == 4u) {
        let left2 = left_at(own_row + 2u * EDGE_M, d);
        let left3 = left_at(own_row + 3u * EDGE_M, d);
        s20 = subgroupMatrixMultiplyAccumulate(left2, right0, s20);
        s30 = subgroupMatrixMultiplyAccumulate(left3, right0, s30);
        s21 = subgroupMatrixMultiplyAccumulate(left2, right1, s21);
        s31 = subgroupMatrixMultiplyAccumulate(left3, right1, s31);
        let right2 = right_at(own_column + 2u * EDGE_N, d);
        s02 = subgroupMatrixMultiplyAccumulate(left0, right2, s02);
        s12 = subgroupMatrixMultiplyAccumulate(left1, right2, s12);
        s22 = subgroupMatrixMultiplyAccumulate(left2, right2, s22);
        s32 = subgroupMatrixMultiplyAccumulate(left3, right2, s32);
        let right3 = right_at(own_column + 3u * EDGE_N, d);
        s03 = subgroupMatrixMultiplyAccumulate(left0, right3, s03);
        s13 = subgroupMatrixMultiplyAccumulate(left1, right3, s13);
        s23 = subgroupMatrixMultiplyAccumulate(left2, right3, s23);
        s33 = subgroupMatrixMultiplyAccumulate(left3, right3, s33);
      }
    }
    workgroupBarrier();
  }

  let scratch = subgroup * EDGE_M * STRIP;
  let row = first_row + own_row;
  let column = first_column + own_column;
  subgroupMatrixStore<row_major>(&results, scratch + 0u * EDGE_N, s00, STRIP);
  subgroupMatrixStore<row_major>(&results, scratch + 1u * EDGE_N, s01, STRIP);
  if (BLOCK == 4u) {
    subgroupMatrixStore<row_major>(&results, scratch + 2u * EDGE_N, s02, STRIP);
    subgroupMatrixStore<row_major>(&results, scratch + 3u * EDGE_N, s03, STRIP);
  }
  workgroupBarrier();
  store_strip(scratch, subgroup_lane, row + 0u * EDGE_M, column, workgroup.z);
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&results, scratch + 0u * EDGE_N, s10, STRIP);
  subgroupMatrixStore<row_major>(&results, scratch + 1u * EDGE_N, s11, STRIP);
  if (BLOCK == 4u) {
    subgroupMatrixStore<row_major>(&results, scratch + 2u * EDGE_N, s12, STRIP);
    subgroupMatrixStore<row_major>(&results, scratch + 3u * EDGE_N, s13, STRIP);
  }
  workgroupBarrier();
  store_strip(scratch, subgroup_lane, row + 1u * EDGE_M, column, workgroup.z);
  if (BLOCK == 4u) {
    workgroupBarrier();
    subgroupMatrixStore<row_major>(&results, scratch + 0u * EDGE_N, s20, STRIP);
    subgroupMatrixStore<row_major>(&results, scratch + 1u * EDGE_N, s21, STRIP);
    subgroupMatrixStore<row_major>(&results, scratch + 2u * EDGE_N, s22, STRIP);
    subgroupMatrixStore<row_major>(&results, scratch + 3u * EDGE_N, s23, STRIP);
    workgroupBarrier();
    store_strip(scratch, subgroup_lane, row + 2u * EDGE_M, column, workgroup.z);
    workgroupBarrier();
    subgroupMatrixStore<row_major>(&results, scratch + 0u * EDGE_N, s30, STRIP);
    subgroupMatrixStore<row_major>(&results, scratch + 1u * EDGE_N, s31, STRIP);
    subgroupMatrixStore<row_major>(&results, scratch + 2u * EDGE_N, s32, STRIP);
    subgroupMatrixStore<row_major>(&results, scratch + 3u * EDGE_N, s33, STRIP);
    workgroupBarrier();
    store_strip(scratch, subgroup_lane, row + 3u * EDGE_M, column, workgroup.z);
  }
}
