// segment_sum_forward: y[p] = sum of x[r] (* weights[r] when WEIGHTED) over the rows of segment p, in order
//
//   x, weights: [R] f32    segments: [P] vec2u, first and one past the last row    y: [P] f32, overwritten.
//
// One invocation per segment: answers are short beside the model's work.
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> segments: array<vec2u>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@if(WEIGHTED) @group(0) @binding(3) var<storage, read> weights: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let p = invocation_index(id, workgroups, WORKGROUP);
  if (p >= arrayLength(&y)) { return; }
  var sum = 0.0;
  for (var r = segments[p].x; r < segments[p].y; r++) {
    @if(WEIGHTED) sum += weights[r] * x[r];
    @else sum += x[r];
  }
  y[p] = sum;
}
