// gather_rows_backward: dx[t] (+)= sum of dy[r] over the rows r that were taken from t, in order; 0 where none was
//
//   starts: [T + 1] u32, where token t's run in `picks` begins    picks: [R] u32, rows sorted by their token
//   dy: [R, H] f32    dx: [T, H] f32.   ACCUMULATE adds to dx, otherwise dx is overwritten.
//
// One invocation per (token, column): the last prompt token is the source of the first row of every branch.
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

override H: u32;

@group(0) @binding(0) var<storage, read> starts: array<u32>;
@group(0) @binding(1) var<storage, read> picks: array<u32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= arrayLength(&dx)) { return; }
  let t = i / H;
  var sum = 0.0;
  for (var n = starts[t]; n < starts[t + 1u]; n++) { sum += dy[picks[n] * H + i % H]; }
  @if(ACCUMULATE) dx[i] += sum;
  @else dx[i] = sum;
}
