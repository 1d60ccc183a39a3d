// embedding_forward: y[t] = SCALE * table[ids[t] - FIRST_ROW] for the ids in this shard, FIRST_ROW .. FIRST_ROW + ROWS, where
// ROWS is the length of the binding: models share a pipeline
//
//   ids: [T] u32    table: [ROWS, H] f32, or f16/bf16 packed in pairs    y: [T, H] f32; rows of other shards are untouched.
//
// One invocation per pair of elements; H is even. Limited by bandwidth.
import package::shared::grid::invocation_index;
import package::shared::half::widen_bf16;
import package::shared::half::widen_f16;
import constants::WORKGROUP;

override H: u32;
override FIRST_ROW: u32;
override SCALE: f32 = 1.0;

@group(0) @binding(0) var<storage, read> ids: array<u32>;
@if(W_HALF) @group(0) @binding(1) var<storage, read> table: array<u32>;
@else @group(0) @binding(1) var<storage, read> table: array<vec2f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec2f>;

fn load(i: u32) -> vec2f {
  @if(W_BF16) return widen_bf16(table[i]);
  @if(W_HALF && !W_BF16) return widen_f16(table[i]);
  @if(!W_HALF) return table[i];
}

/// ROWS. A pair of elements is one element of the table, packed or not.
fn row_count() -> u32 { return arrayLength(&table) / (H / 2u); }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= arrayLength(&y)) { return; }
  let pairs = H / 2u;
  let row = ids[i / pairs] - FIRST_ROW;
  // An id before FIRST_ROW wraps around to a large number and falls out as well.
  if (row < row_count()) { y[i] = SCALE * load(row * pairs + i % pairs); }
}
