// The entry point of attention_backward_key_value_matrices.wgsl, appended to it after linking: WESL's linker refuses Dawn's experimental names.

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
  let unit = unit_of(workgroup, workgroups);
  if (unit.y >= KV_HEADS) { return; }
  let own = subgroup * EDGE_M;

  //# for i in DEPTH_PARTS
  stage_keys(unit, $iu * EDGE_K / 4u, lane);
  workgroupBarrier();
  let key$i = subgroupMatrixLoad<Left, row_major>(&tile, own * SLICE_PITCH, SLICE_PITCH);
  workgroupBarrier();
  stage_values(unit, $iu * EDGE_K / 4u, lane);
  workgroupBarrier();
  let value$i = subgroupMatrixLoad<Left, row_major>(&tile, own * SLICE_PITCH, SLICE_PITCH);
  workgroupBarrier();
  //# end
  //# for n in WIDTH_PARTS
  var key_sum$n = Sum();
  var value_sum$n = Sum();
  //# end

  for (var query = first_query_of(unit); query < token_count(); query += COLUMNS) {
    // A key is seen by tokens in a row: where none of the keys is seen, none is seen later.
    if (!any_seen(unit, query, subgroup, subgroup_lane)) { break; }
    for (var head = first_head_of(unit); head < end_head_of(unit); head++) {
      stage_queries(query, head, lane);
      workgroupBarrier();
      for (var c = 0u; c < COLUMNS; c += EDGE_N) {
        var score = Sum();
        //# for i in DEPTH_PARTS
        score = subgroupMatrixMultiplyAccumulate(key$i, subgroupMatrixLoad<Right, col_major>(&tile, c * PITCH + $iu * EDGE_K, PITCH), score);
        //# end
        subgroupMatrixStore<row_major>(&scores, own * SCORE_PITCH + c, score, SCORE_PITCH);
      }
      workgroupBarrier();
      stage_gradients(query, head, lane);
      workgroupBarrier();
      for (var c = 0u; c < COLUMNS; c += EDGE_N) {
        var product = Sum();
        //# for i in DEPTH_PARTS
        product = subgroupMatrixMultiplyAccumulate(value$i, subgroupMatrixLoad<Right, col_major>(&tile, c * PITCH + $iu * EDGE_K, PITCH), product);
        //# end
        subgroupMatrixStore<row_major>(&products, own * SCORE_PITCH + c, product, SCORE_PITCH);
      }
      workgroupBarrier();
      weigh(unit, query, head, subgroup, subgroup_lane);
      workgroupBarrier();
      for (var c = 0u; c < COLUMNS; c += EDGE_K) {
        let weight = subgroupMatrixLoad<Left, row_major>(&weights, own * WEIGHT_PITCH + c, WEIGHT_PITCH);
        //# for n in WIDTH_PARTS
        value_sum$n = subgroupMatrixMultiplyAccumulate(weight, subgroupMatrixLoad<Right, row_major>(&tile, c * PITCH + $nu * EDGE_N, PITCH), value_sum$n);
        //# end
      }
      workgroupBarrier();
      stage_queries(query, head, lane);
      workgroupBarrier();
      for (var c = 0u; c < COLUMNS; c += EDGE_K) {
        let slope = subgroupMatrixLoad<Left, row_major>(&slopes, own * WEIGHT_PITCH + c, WEIGHT_PITCH);
        //# for n in WIDTH_PARTS
        key_sum$n = subgroupMatrixMultiplyAccumulate(slope, subgroupMatrixLoad<Right, row_major>(&tile, c * PITCH + $nu * EDGE_N, PITCH), key_sum$n);
        //# end
      }
      workgroupBarrier();
    }
  }

  //# for n in WIDTH_PARTS
  {
    let column = $nu * EDGE_N % COLUMNS;
    subgroupMatrixStore<row_major>(&scores, own * SCORE_PITCH + column, value_sum$n, SCORE_PITCH);
    subgroupMatrixStore<row_major>(&products, own * SCORE_PITCH + column, key_sum$n, SCORE_PITCH);
    workgroupBarrier();
    store(unit, column, $nu * EDGE_N / 4u, subgroup, subgroup_lane);
  }
  //# end
}
