// The entry point of linear_rows_matrices.wgsl, appended to it after linking: WESL's linker refuses Dawn's experimental names.
// sum$m$n is the matrix in row m and column n of those that the workgroup makes, a subgroup's share of it.

alias Left = subgroup_matrix_left<f16, EDGE_K, EDGE_M>;
alias Right = subgroup_matrix_right<f16, EDGE_N, EDGE_K>;
alias Sum = subgroup_matrix_result<f32, EDGE_N, EDGE_M>;

@compute @workgroup_size(INVOCATIONS)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_id) subgroup: u32,
) {
  let first = block_of(workgroup, workgroups);
  //# for m in ROW_MATRICES
  //# for n in COLUMN_MATRICES
  var sum$m$n: Sum;
  //# end
  //# end
  //# for i in OWN_AHEAD
  var own$i = fetch_own(lane + $iu * INVOCATIONS, first.x, 0u);
  //# end
  //# for i in OTHER_AHEAD
  var other$i = fetch_other(lane + $iu * INVOCATIONS, first.y, 0u);
  //# end
  for (var slab = 0u; slab < depths(); slab += SLAB) {
    //# for i in OWN_AHEAD
    put_own(lane + $iu * INVOCATIONS, own$i);
    //# end
    //# for i in OTHER_AHEAD
    put_other(lane + $iu * INVOCATIONS, other$i);
    //# end
    workgroupBarrier();
    //# for i in OWN_AHEAD
    own$i = fetch_own(lane + $iu * INVOCATIONS, first.x, slab + SLAB);
    //# end
    //# for i in OTHER_AHEAD
    other$i = fetch_other(lane + $iu * INVOCATIONS, first.y, slab + SLAB);
    //# end
    for (var d = 0u; d < DEPTH; d += EDGE_K) {
      let at = subgroup * DEPTH + d;
      //# for m in ROW_MATRICES
      let left$m = subgroupMatrixLoad<Left, row_major>(&own_tile, $mu * EDGE_M * PITCH + at, PITCH);
      //# end
      //# for n in COLUMN_MATRICES
      let right$n = subgroupMatrixLoad<Right, col_major>(&other_tile, $nu * EDGE_N * PITCH + at, PITCH);
      //# for m in ROW_MATRICES
      sum$m$n = subgroupMatrixMultiplyAccumulate(left$m, right$n, sum$m$n);
      //# end
      //# end
    }
    workgroupBarrier();
  }
  //# for m in ROW_MATRICES
  if ($mu > 0u) { workgroupBarrier(); }
  //# for n in COLUMN_MATRICES
  subgroupMatrixStore<row_major>(&results, subgroup * EDGE_M * COLUMNS + $nu * EDGE_N, sum$m$n, COLUMNS);
  //# end
  workgroupBarrier();
  fold(lane, first.x + $mu * EDGE_M, first.y);
  //# end
}
