// attention_paged_fold: makes one softmax of the chunks that attention over a paged cache was split into
//
//   y[r, h] = sum_c exp(m_c - m) s_c / sum_c exp(m_c - m) t_c,   m = max_c m_c
//
//   sums: s [R, HEADS, CHUNKS, 4 * HEAD4] f32, values by their weights    stats: (m, t) [R, HEADS, CHUNKS], the largest score of a
//   chunk and the sum of its weights    places: [R] vec4u (position, ...)    y: [R, HEADS, 4 * HEAD4] f32, overwritten
//
// One chunk gives what attention that is not split gives. An invocation to each vec4 of y; reads what the chunks wrote.
import package::attention::paged_tokens::CHUNKS;
import package::attention::paged_tokens::chunk_count;
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

override HEADS: u32;
override HEAD4: u32;

@group(0) @binding(0) var<storage, read> sums: array<vec4f>;
@group(0) @binding(1) var<storage, read> stats: array<vec2f>;
@group(0) @binding(2) var<storage, read> places: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= arrayLength(&y)) { return; }
  let head = i / HEAD4;
  let first = head * CHUNKS;
  let count = chunk_count(places[head / HEADS].x);
  var largest = stats[first].x;
  for (var c = 1u; c < count; c++) { largest = max(largest, stats[first + c].x); }
  var sum = vec4f();
  var total = 0.0;
  for (var c = 0u; c < count; c++) {
    let share = exp(stats[first + c].x - largest);
    sum += share * sums[(first + c) * HEAD4 + i % HEAD4];
    total += share * stats[first + c].y;
  }
  y[i] = sum / total;
}
