// The entry point of linear_matrices.wgsl, appended to it after linking: WESL's linker refuses Dawn's experimental names.
// Matrices have names of their own instead of places in arrays, so that no driver need unroll a loop to keep them in registers:
// sum$m$n$k is the sum in row m of a subgroup's matrices and in place k of strip n.

alias Left = subgroup_matrix_left<f16, EDGE_K, EDGE_M>;
alias Right = subgroup_matrix_right<f16, EDGE_N, EDGE_K>;
alias Sum = subgroup_matrix_result<f32, EDGE_N, EDGE_M>;

fn left_at(buffer: u32, row: u32, depth: u32) -> Left {
  let at = buffer * OWN_BUFFER;
  if (OWN_BY_DEPTH) { return subgroupMatrixLoad<Left, col_major>(&own_tile, at + depth * OWN_STRIDE + row, OWN_STRIDE); }
  return subgroupMatrixLoad<Left, row_major>(&own_tile, at + row * OWN_STRIDE + depth, OWN_STRIDE);
}
fn right_at(buffer: u32, column: u32, depth: u32) -> Right {
  let at = buffer * OTHER_BUFFER;
  if (OTHER_BY_DEPTH) { return subgroupMatrixLoad<Right, row_major>(&other_tile, at + depth * OTHER_STRIDE + column, OTHER_STRIDE); }
  return subgroupMatrixLoad<Right, col_major>(&other_tile, at + column * OTHER_STRIDE + depth, OTHER_STRIDE);
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
  let first_row = block.x * ROWS;
  let first_column = block.y * COLUMNS;
  let own_row = (subgroup / 2u) * BLOCK_SIDE * EDGE_M;
  let own_column = (subgroup % 2u) * BLOCK_SIDE * EDGE_N;

  //# for m in BLOCK_SIDE
  //# for n in STRIPS
  //# for k in STRIP_SIDE
  var sum$m$n$k: Sum;
  //# end
  //# end
  //# end
  let depth = depth_of_split(workgroups.z);
  let begin = workgroup.z * depth;
  let end = min(depths(), begin + depth);
  //# for i in OWN_AHEAD
  var own$i = fetch_own(lane + $iu * INVOCATIONS, first_row, begin);
  //# end
  //# for i in OTHER_AHEAD
  var other$i = fetch_other(lane + $iu * INVOCATIONS, first_column, begin);
  //# end
  var buffer = 0u;
  for (var slab = begin; slab < end; slab += DEPTH) {
    if (BUFFERS == 1) {
      for (var i = lane; i < OWN_VEC4S; i += INVOCATIONS) { put_own(own_place(i), fetch_own(i, first_row, slab)); }
      for (var i = lane; i < OTHER_VEC4S; i += INVOCATIONS) { put_other(other_place(i), fetch_other(i, first_column, slab)); }
    }
    //# for i in OWN_AHEAD
    put_own(buffer * OWN_BUFFER + own_place(lane + $iu * INVOCATIONS), own$i);
    //# end
    //# for i in OTHER_AHEAD
    put_other(buffer * OTHER_BUFFER + other_place(lane + $iu * INVOCATIONS), other$i);
    //# end
    workgroupBarrier();
    // Without a branch around them, so that a compiler may round these behind the products. Past the end they load what lies before.
    //# for i in OWN_AHEAD
    own$i = fetch_own(lane + $iu * INVOCATIONS, first_row, slab + DEPTH);
    //# end
    //# for i in OTHER_AHEAD
    other$i = fetch_other(lane + $iu * INVOCATIONS, first_column, slab + DEPTH);
    //# end
    for (var d = 0u; d < DEPTH; d += EDGE_K) {
      //# for m in BLOCK_SIDE
      let left$m = left_at(buffer, own_row + $mu * EDGE_M, d);
      //# end
      //# for n in STRIPS
      //# for k in STRIP_SIDE
      let right$n$k = right_at(buffer, own_column + ($nu * STRIP_SIDE + $ku) * EDGE_N, d);
      //# for m in BLOCK_SIDE
      sum$m$n$k = subgroupMatrixMultiplyAccumulate(left$m, right$n$k, sum$m$n$k);
      //# end
      //# end
      //# end
    }
    if (BUFFERS == 1) { workgroupBarrier(); } else { buffer = 1u - buffer; }
  }

  let scratch = subgroup * EDGE_M * STRIP;
  //# for m in BLOCK_SIDE
  //# for n in STRIPS
  if ($mu + $nu > 0u) { workgroupBarrier(); }
  //# for k in STRIP_SIDE
  subgroupMatrixStore<row_major>(&results, scratch + $ku * EDGE_N, sum$m$n$k, STRIP);
  //# end
  workgroupBarrier();
  store_strip(scratch, subgroup_lane, first_row + own_row + $mu * EDGE_M, first_column + own_column + $nu * STRIP, workgroup.z);
  //# end
  //# end
}
