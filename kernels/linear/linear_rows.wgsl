// linear_rows: a forward product of linear_operands.wgsl for the few rows of a decoding step
//
// A workgroup makes ROWS x 4 elements of out for ROW_PER_WORKGROUP, on GPUs: neighbouring invocations read neighbouring weights along the
// sum, which is folded through workgroup memory at the end. Otherwise an invocation makes ROWS x 4 elements, for CPU adapters.
// The order of a sum does not depend on the number of rows: a sequence gets the same bits alone and in any batch.
// Row blocks of the same columns come one after the other, so that weights are read once from memory. Limited by that.
import package::shared::grid::workgroup_index;
import package::linear::linear_operands::column_count;
import package::linear::linear_operands::depth_count;
import package::linear::linear_operands::other_along_depth;
import package::linear::linear_operands::own_along_depth;
import package::linear::linear_operands::row_count;
import package::linear::linear_operands::store;
import constants::WORKGROUP;

const ROWS = 8u;

/// Adds 4 steps of the sum to the rows of a block: column c of `others` are the weights of column c.
fn accumulate(sums: ptr<function, array<vec4f, ROWS>>, row0: u32, depth4: u32, column4: u32) {
  let others = transpose(mat4x4f(
    other_along_depth(4u * column4, depth4), other_along_depth(4u * column4 + 1u, depth4),
    other_along_depth(4u * column4 + 2u, depth4), other_along_depth(4u * column4 + 3u, depth4),
  ));
  for (var r = 0u; r < ROWS; r++) { (*sums)[r] += others * own_along_depth(row0 + r, depth4); }
}

/// Of each row as many parts as all invocations fold at once.
const PARTS = WORKGROUP / ROWS;
@if(ROW_PER_WORKGROUP) var<workgroup> found: array<vec4f, ROWS * WORKGROUP>;
@if(ROW_PER_WORKGROUP) var<workgroup> parts: array<vec4f, ROWS * PARTS>;

@if(ROW_PER_WORKGROUP)
@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local_index: u32,
) {
  let block = workgroup_index(workgroup, workgroups);
  let row_blocks = (row_count() + ROWS - 1u) / ROWS;
  let row0 = (block % row_blocks) * ROWS;
  let column4 = block / row_blocks;
  var sums: array<vec4f, ROWS>;
  for (var depth4 = local_index; depth4 < depth_count() / 4u; depth4 += WORKGROUP) { accumulate(&sums, row0, depth4, column4); }
  for (var r = 0u; r < ROWS; r++) { found[r * WORKGROUP + local_index] = sums[r]; }
  workgroupBarrier();
  var part = vec4f();
  let row = local_index / PARTS;
  for (var i = local_index % PARTS; i < WORKGROUP; i += PARTS) { part += found[row * WORKGROUP + i]; }
  parts[local_index] = part;
  workgroupBarrier();
  if (local_index < ROWS) {
    var sum = vec4f();
    for (var i = 0u; i < PARTS; i++) { sum += parts[local_index * PARTS + i]; }
    store(row0 + local_index, column4, sum, 0u);
  }
}

@if(!ROW_PER_WORKGROUP)
@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local_index: u32,
) {
  let block = workgroup_index(workgroup, workgroups) * WORKGROUP + local_index;
  let column_blocks = (column_count() + 3u) / 4u;
  let row0 = (block / column_blocks) * ROWS;
  if (row0 >= row_count()) { return; }
  let column4 = block % column_blocks;
  var sums: array<vec4f, ROWS>;
  for (var depth4 = 0u; depth4 < depth_count() / 4u; depth4++) { accumulate(&sums, row0, depth4, column4); }
  let rows = min(ROWS, row_count() - row0);
  for (var r = 0u; r < rows; r++) { store(row0 + r, column4, sums[r], 0u); }
}
