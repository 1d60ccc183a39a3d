// segment_sum_forward: y[p] = sum of x[r] (* weights[r] when WEIGHTED) over the rows of segment p
//
//   x, weights: [R] f32    segments: [P] vec2u, first and one past the last row    y: [P] f32, overwritten.
//
// One invocation per segment: answers are short beside the model's work. Rows are added up in blocks, and then the blocks: the
// log-probs of an answer come to hundreds, where every addition rounds by 1e-5, and objectives want a small difference of two
// such sums. (Compensation is no way out: compilers simplify (a + b) - a to b.)
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

const BLOCK = 16u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> segments: array<vec2u>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@if(WEIGHTED) @group(0) @binding(3) var<storage, read> weights: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let p = invocation_index(id, workgroups, WORKGROUP);
  if (p >= arrayLength(&y)) { return; }
  var sum = 0.0;
  let end = segments[p].y;
  for (var block = segments[p].x; block < end; block += BLOCK) {
    var part = 0.0;
    for (var r = block; r < min(block + BLOCK, end); r++) {
      @if(WEIGHTED) part += weights[r] * x[r];
      @else part += x[r];
    }
    sum += part;
  }
  y[p] = sum;
}
