// linear_rows_subgroup: a forward product of linear_operands.wgsl for the few rows of a decoding step, for CPU adapters whose
// subgroups have at least 8 invocations
//
// Every invocation makes ROWS rows x 4 columns of out. Of own, each invocation loads a row and hands it on by broadcast; of the
// weights, each loads those of its own columns, so that a subgroup reads every one of them once for all rows. The order of
// a sum does not depend on the number of rows. No shared memory, no barriers; limited by the loads of weights.
import package::shared::grid::workgroup_index;
import package::shared::subgroup_loads::broadcast_high;
import package::shared::subgroup_loads::broadcast_low;
import package::linear::linear_operands::column_count;
import package::linear::linear_operands::load_low_other;
import package::linear::linear_operands::load_other;
import package::linear::linear_operands::low_own;
import package::linear::linear_operands::own;
import package::linear::linear_operands::row_count;
import package::linear::linear_operands::sizes;
import package::linear::linear_operands::store;
import constants::WORKGROUP;

enable subgroups;

const ROWS = 8u;

/// Adds 4 steps of the sum to all rows. Invocation r has them of row r; column c of `others` are the weights of column c.
fn accumulate(sums: ptr<function, array<vec4f, ROWS>>, own_row: vec4f, others: mat4x4f) {
  let low = broadcast_low(own_row);
  let high = broadcast_high(own_row);
  (*sums)[0] += others * low[0];
  (*sums)[1] += others * low[1];
  (*sums)[2] += others * low[2];
  (*sums)[3] += others * low[3];
  (*sums)[4] += others * high[0];
  (*sums)[5] += others * high[1];
  (*sums)[6] += others * high[2];
  (*sums)[7] += others * high[3];
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local_index: u32,
  @builtin(subgroup_invocation_id) subgroup_index: u32,
) {
  // Row blocks of the same columns come one after the other, so that weights are read once from memory.
  let row_blocks = (row_count() + ROWS - 1u) / ROWS;
  let block = workgroup_index(workgroup, workgroups);
  let row0 = (block % row_blocks) * ROWS;
  let column4 = (block / row_blocks) * WORKGROUP + local_index;
  // Rows and columns past the end read the last one in their place.
  let row = min(row0 + subgroup_index % ROWS, row_count() - 1u);
  let columns = min(4u * column4 + vec4u(0u, 1u, 2u, 3u), vec4u(column_count() - 1u));

  var sums: array<vec4f, ROWS>;
  let depths4 = sizes.K / 4u;
  let starts = columns * depths4;
  let own_start = row * depths4;
  for (var depth4 = 0u; depth4 < depths4; depth4++) {
    let others = transpose(mat4x4f(
      load_other(starts.x + depth4), load_other(starts.y + depth4), load_other(starts.z + depth4), load_other(starts.w + depth4),
    ));
    accumulate(&sums, own[own_start + depth4], others);
  }
  @if(LOW_RANK) {
    let ranks4 = sizes.R / 4u;
    let low_starts = (sizes.N_OFFSET + columns) * ranks4;
    for (var rank4 = 0u; rank4 < ranks4; rank4++) {
      let others = transpose(mat4x4f(
        load_low_other(low_starts.x + rank4), load_low_other(low_starts.y + rank4),
        load_low_other(low_starts.z + rank4), load_low_other(low_starts.w + rank4),
      ));
      accumulate(&sums, low_own[row * ranks4 + rank4], others);
    }
  }
  let rows = min(ROWS, row_count() - row0);
  for (var r = 0u; r < rows; r++) { store(row0 + r, column4, sums[r], 0u); }
}
