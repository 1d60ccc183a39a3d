// micro_batch_slice: moves the log-probs of one micro-batch to its place among those of the whole step, or their gradients back
//
//   OUT:  step[offset + i] = rows[i]      otherwise:  rows[i] = step[offset + i], 0 from count on;   i < count
//
//   rows: [R] f32    step: f32, longer    place: u32 [2], (offset, count)
//
// One invocation per row; limited by bandwidth, and small.
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

@if(OUT) @group(0) @binding(0) var<storage, read> rows: array<f32>;
@else @group(0) @binding(0) var<storage, read_write> rows: array<f32>;
@if(OUT) @group(0) @binding(1) var<storage, read_write> step: array<f32>;
@else @group(0) @binding(1) var<storage, read> step: array<f32>;
@group(0) @binding(2) var<storage, read> place: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let invocation = invocation_index(id, workgroups, WORKGROUP);
  let i = invocation;
  if (i >= arrayLength(&rows)) { return; }
  let inside = i < place[1];
  @if(OUT) { if (inside) { step[place[0] + i] = rows[i]; } }
  @if(!OUT) rows[i] = select(0.0, step[min(place[0] + i, arrayLength(&step) - 1u)], inside);
}
