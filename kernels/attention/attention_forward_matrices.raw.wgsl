// The entry point of attention_forward_matrices.wgsl, appended to it after linking: WESL's linker refuses Dawn's experimental names.

alias Left = subgroup_matrix_left<f16, EDGE_K, EDGE_M>;
alias Right = subgroup_matrix_right<f16, EDGE_N, EDGE_K>;
alias Sum = subgroup_matrix_result<f32, EDGE_N, EDGE_M>;

@compute @workgroup_size(INVOCATIONS)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
  let queries = tile_of(workgroup, workgroups);
  if (is_empty(queries)) { return; }
  let own = subgroup * EDGE_M;

  //# for i in DEPTH_PARTS
  stage_queries(queries, $iu * EDGE_K / 4u, lane);
  workgroupBarrier();
  let query$i = subgroupMatrixLoad<Left, row_major>(&tile, own * SLICE_PITCH, SLICE_PITCH);
  workgroupBarrier();
  //# end
  //# for n in WIDTH_PARTS
  var sum$n = Sum();
  //# end

  for (var walk = keys_of(queries); walk.key < walk.limit; walk = further(walk)) {
    if (!any_sees(queries, walk.key)) { continue; }
    stage_keys(queries, walk.key, lane);
    workgroupBarrier();
    for (var c = 0u; c < COLUMNS; c += EDGE_N) {
      var score = Sum();
      //# for i in DEPTH_PARTS
      score = subgroupMatrixMultiplyAccumulate(query$i, subgroupMatrixLoad<Right, col_major>(&tile, c * PITCH + $iu * EDGE_K, PITCH), score);
      //# end
      subgroupMatrixStore<row_major>(&scores, own * SCORE_PITCH + c, score, SCORE_PITCH);
    }
    workgroupBarrier();
    stage_values(queries, walk.key, lane);
    let factor = weigh(queries, walk, subgroup, subgroup_lane);
    if (any_rescales(factor, subgroup, subgroup_lane)) {
      //# for n in WIDTH_PARTS
      {
        let column = $nu * EDGE_N % COLUMNS;
        subgroupMatrixStore<row_major>(&scores, own * SCORE_PITCH + column, sum$n, SCORE_PITCH);
        workgroupBarrier();
        rescale(column, factor, subgroup, subgroup_lane);
        workgroupBarrier();
        sum$n = subgroupMatrixLoad<Sum, row_major>(&scores, own * SCORE_PITCH + column, SCORE_PITCH);
      }
      //# end
    }
    for (var c = 0u; c < COLUMNS; c += EDGE_K) {
      let weight = subgroupMatrixLoad<Left, row_major>(&weights, own * WEIGHT_PITCH + c, WEIGHT_PITCH);
      //# for n in WIDTH_PARTS
      sum$n = subgroupMatrixMultiplyAccumulate(weight, subgroupMatrixLoad<Right, row_major>(&tile, c * PITCH + $nu * EDGE_N, PITCH), sum$n);
      //# end
    }
    workgroupBarrier();
  }

  finish(queries, subgroup, subgroup_lane);
  //# for n in WIDTH_PARTS
  {
    let column = $nu * EDGE_N % COLUMNS;
    subgroupMatrixStore<row_major>(&scores, own * SCORE_PITCH + column, sum$n, SCORE_PITCH);
    workgroupBarrier();
    store(queries, column, $nu * EDGE_N / 4u, subgroup, subgroup_lane);
  }
  //# end
}
