// linear_rows_subgroup: a forward product of linear_operands.wgsl for the few rows of a decoding step, for CPU adapters whose
// subgroups have at least 8 invocations
//
// Every invocation makes ROWS rows x 4 columns of out. Of own, each invocation loads a row and hands it on by broadcast; of the
// weights, each loads those of its own columns, so that a subgroup reads every one of them once for all rows. The order of
// a sum does not depend on the number of rows. No shared memory, no barriers; limited by the loads of weights.
//
// NORMED: own is x r w in the place of x (row_norm.wgsl), norm_w: [K] f32.
// PAIRED is the upper half of a feed-forward block:  out = f(x gateᵀ) · (x Wᵀ), f silu or GELU.   gate_weight: as w, gate_scales: as scales
import package::shared::grid::workgroup_index;
import package::elementwise::activation::activated;
import package::linear::linear_operands::column_count;
import package::linear::linear_operands::load_low_other;
import package::linear::linear_operands::load_other;
import package::linear::linear_operands::low_own;
import package::linear::linear_operands::own;
import package::linear::linear_operands::row_count;
import package::linear::linear_operands::sizes;
import package::linear::linear_operands::store;
import package::linear::row_norm::inverse_rms;
import package::linear::row_norm::normed;
import package::linear::row_block::ROWS;
import package::linear::row_block::accumulate;
import package::linear::quantized::widen_i8;
import package::linear::quantized::widen_nf4;
import package::shared::half::widen_bf16;
import package::shared::half::widen_f16;
import constants::WORKGROUP;

enable subgroups;

@if(PAIRED && W_HALF) @group(0) @binding(6) var<storage, read> gate_weight: array<vec2u>;
@if(PAIRED && (W_I8 || W_NF4)) @group(0) @binding(6) var<storage, read> gate_weight: array<u32>;
@if(PAIRED && !W_HALF && !W_I8 && !W_NF4) @group(0) @binding(6) var<storage, read> gate_weight: array<vec4f>;
@if(PAIRED && (W_I8 || W_NF4)) @group(0) @binding(7) var<storage, read> gate_scales: array<f32>;

@if(NORMED) @group(0) @binding(8) var<storage, read> norm_w: array<vec4f>;

/// `r` is that of the row, where it is normed.
fn load_own(start: u32, depth4: u32, r: f32) -> vec4f {
  @if(NORMED) return normed(own[start + depth4], r, norm_w[depth4]);
  @else return own[start + depth4];
}

@if(PAIRED) fn load_gate(i: u32) -> vec4f {
  @if(!W_HALF && !W_I8 && !W_NF4) return gate_weight[i];
  @if(W_I8) return gate_scales[i / 16u] * widen_i8(gate_weight[i]);
  @if(W_NF4) return gate_scales[i / 16u] * widen_nf4(gate_weight[i / 2u] >> (16u * (i % 2u)));
  @if(W_HALF && W_BF16) return vec4f(widen_bf16(gate_weight[i].x), widen_bf16(gate_weight[i].y));
  @if(W_HALF && !W_BF16) return vec4f(widen_f16(gate_weight[i].x), widen_f16(gate_weight[i].y));
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
  var r = 1.0;
  @if(NORMED) {
    var squares = vec4f();
    for (var depth4 = 0u; depth4 < depths4; depth4++) { squares += own[own_start + depth4] * own[own_start + depth4]; }
    r = inverse_rms(squares, sizes.K);
  }
  for (var depth4 = 0u; depth4 < depths4; depth4++) {
    let others = transpose(mat4x4f(
      load_other(starts.x + depth4), load_other(starts.y + depth4), load_other(starts.z + depth4), load_other(starts.w + depth4),
    ));
    accumulate(&sums, load_own(own_start, depth4, r), others);
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
  @if(PAIRED) {
    var gates: array<vec4f, ROWS>;
    for (var depth4 = 0u; depth4 < depths4; depth4++) {
      let others = transpose(mat4x4f(
        load_gate(starts.x + depth4), load_gate(starts.y + depth4), load_gate(starts.z + depth4), load_gate(starts.w + depth4),
      ));
      accumulate(&gates, load_own(own_start, depth4, r), others);
    }
    for (var i = 0u; i < ROWS; i++) { sums[i] *= activated(gates[i]); }
  }
  let rows = min(ROWS, row_count() - row0);
  for (var i = 0u; i < rows; i++) { store(row0 + i, column4, sums[i], 0u); }
}
