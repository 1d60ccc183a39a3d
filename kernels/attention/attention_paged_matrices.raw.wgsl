// The entry point of attention_paged_matrices.wgsl, appended to it after linking: WESL's linker refuses Dawn's experimental names.

alias Left = subgroup_matrix_left<f16, EDGE_K, EDGE_M>;
alias Right = subgroup_matrix_right<f16, EDGE_N, EDGE_K>;
alias Sum = subgroup_matrix_result<f32, EDGE_N, EDGE_M>;

@compute @workgroup_size(INVOCATIONS)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
  let unit = unit_of(workgroup, workgroups);
  if (unit.begin == unit.end) { return; }
  let lane = subgroup * SUBGROUP + subgroup_lane;
  begin(unit, lane);

  for (var key = unit.begin; key < unit.end; key += KEYS) {
    stage_keys(unit, key, lane);
    workgroupBarrier();
    var score = Sum();
    for (var d = 0u; d < HEAD; d += EDGE_K) {
      let query = subgroupMatrixLoad<Left, row_major>(&queries, d, PITCH);
      let column = subgroupMatrixLoad<Right, col_major>(&tile, subgroup * EDGE_N * PITCH + d, PITCH);
      score = subgroupMatrixMultiplyAccumulate(query, column, score);
    }
    subgroupMatrixStore<row_major>(&scores, subgroup * EDGE_N, score, SCORE_PITCH);
    workgroupBarrier();
    stage_values(unit, key, lane);
    weigh(unit, key, lane);
    workgroupBarrier();
    for (var round = 0u; round < ROUNDS; round++) {
      let strip = round * SUBGROUPS + subgroup;
      var sum = subgroupMatrixLoad<Sum, row_major>(&sums, strip * EDGE_N, SUM_PITCH);
      for (var c = 0u; c < KEYS; c += EDGE_K) {
        let weight = subgroupMatrixLoad<Left, row_major>(&weights, c, WEIGHT_PITCH);
        let column = subgroupMatrixLoad<Right, row_major>(&tile, c * PITCH + strip % STRIPS * EDGE_N, PITCH);
        sum = subgroupMatrixMultiplyAccumulate(weight, column, sum);
      }
      subgroupMatrixStore<row_major>(&sums, strip * EDGE_N, sum, SUM_PITCH);
    }
    workgroupBarrier();
  }
  finish(unit, lane);
}
