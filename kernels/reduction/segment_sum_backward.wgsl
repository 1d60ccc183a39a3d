// segment_sum_backward: dx[r] += dy[p] (* weights[r] when WEIGHTED) for every row r of segment p
//
//   dx: [R] f32, rows outside all segments untouched; dy: [P] f32    segments: [P] vec2u
//
// One invocation per segment; segments do not overlap.
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> segments: array<vec2u>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@if(WEIGHTED) @group(0) @binding(3) var<storage, read> weights: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let p = invocation_index(id, workgroups, WORKGROUP);
  if (p >= arrayLength(&dy)) { return; }
  for (var r = segments[p].x; r < segments[p].y; r++) {
    @if(WEIGHTED) dx[r] += weights[r] * dy[p];
    @else dx[r] += dy[p];
  }
}
