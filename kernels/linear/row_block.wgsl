// Sums of 8 rows x 4 columns for each invocation of a subgroup that has at least 8. Kernels that import this file `enable subgroups`.
import package::shared::subgroup_loads::broadcast_high;
import package::shared::subgroup_loads::broadcast_low;

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
