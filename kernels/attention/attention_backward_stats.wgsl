// attention_backward_stats: per (token, head) what both gradients of attention need, side by side
//
//   stats[i, h] = (lse[i, h], dy[i, h] . y[i, h])
//
//   y, dy: [T, HEADS * 4 * HEAD4] f32, or y the input of a product in f16 (HALF, `half_input` of half.wgsl)    lse: [T, HEADS] f32    stats: [T, HEADS] vec2f, overwritten.
//   One invocation per (token, head).
import package::shared::grid::invocation_index;
import package::shared::half::of_half_input;
import constants::HEAD4;
import constants::WORKGROUP;

@if(HALF) @group(0) @binding(0) var<storage, read> y: array<vec2u>;
@if(!HALF) @group(0) @binding(0) var<storage, read> y: array<vec4f>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> lse: array<f32>;
@group(0) @binding(3) var<storage, read_write> stats: array<vec2f>;

fn result(i: u32) -> vec4f {
  @if(HALF) return of_half_input(y[i]);
  @else return y[i];
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let invocation = invocation_index(id, workgroups, WORKGROUP);
  if (invocation >= arrayLength(&stats)) { return; }
  var sum = 0.0;
  for (var d = 0u; d < HEAD4; d++) { sum += dot(result(invocation * HEAD4 + d), dy[invocation * HEAD4 + d]); }
  stats[invocation] = vec2f(lse[invocation], sum);
}
