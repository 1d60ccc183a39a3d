// The entry point of linear_matrices.wgsl, appended to it after linking: WESL's linker refuses Dawn's experimental names.

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
  let block = block_of(workgroup, workgroups);
  let first_row = (block % row_blocks()) * TILE;
  let first_column = (block / row_blocks()) * TILE;
  let own_row = (subgroup / 2u) * 64u;
  let own_column = (subgroup % 2u) * 64u;

  var sums: array<array<subgroup_matrix_result<f32, 16, 16>, 4>, 4>;
  let run = run_of(workgroups.z);
  let end = min(depths(), (workgroup.z + 1u) * run);
  for (var first_depth = workgroup.z * run; first_depth < end; first_depth += DEPTH) {
    for (var i = lane; i < TILE * DEPTH / 4u; i += 128u) {
      stage_own(i, first_row, first_depth);
      stage_other(i, first_column, first_depth);
    }
    workgroupBarrier();
    for (var d = 0u; d < DEPTH; d += EDGE) {
      var lefts: array<subgroup_matrix_left<f16, 16, 16>, 4>;
      for (var m = 0u; m < 4u; m++) {
        lefts[m] = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
          &own_tile, (own_row + m * EDGE) * DEPTH_STRIDE + d, DEPTH_STRIDE);
      }
      for (var n = 0u; n < 4u; n++) {
        let right = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
          &other_tile, (own_column + n * EDGE) * DEPTH_STRIDE + d, DEPTH_STRIDE);
        for (var m = 0u; m < 4u; m++) { sums[m][n] = subgroupMatrixMultiplyAccumulate(lefts[m], right, sums[m][n]); }
      }
    }
    workgroupBarrier();
  }

  let scratch = subgroup * EDGE * EDGE;
  for (var m = 0u; m < 4u; m++) {
    for (var n = 0u; n < 4u; n++) {
      subgroupMatrixStore<row_major>(&results, scratch, sums[m][n], EDGE);
      workgroupBarrier();
      for (var i = subgroup_lane; i < EDGE * EDGE / 4u; i += 32u) {
        let row = i / (EDGE / 4u);
        let column4 = i % (EDGE / 4u);
        let at = scratch + row * EDGE + 4u * column4;
        store_result(first_row + own_row + m * EDGE + row, (first_column + own_column + n * EDGE) / 4u + column4,
          vec4f(results[at], results[at + 1u], results[at + 2u], results[at + 3u]), workgroup.z);
      }
      workgroupBarrier();
    }
  }
}
