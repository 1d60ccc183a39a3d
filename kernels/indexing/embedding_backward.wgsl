// embedding_backward: dtable[id] (+)= SCALE * sum of dy[t] over the tokens t with that id, in order
//
//   order: [T] u32, tokens sorted by id    starts: [U + 1] u32, where each id's run in `order` begins    unique_ids: [U] u32
//   dy: [T, H] f32    dtable: [ROWS, H] f32, the rows FIRST_ROW .. FIRST_ROW + ROWS of the table; always accumulates.
//   ROWS is the length of the binding.
//
// One invocation per (distinct id, column). Lists are made on the host; there are no atomics, so equal inputs give equal
// bits.
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

override H: u32;
override FIRST_ROW: u32;
override SCALE: f32 = 1.0;

@group(0) @binding(0) var<storage, read> order: array<u32>;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> unique_ids: array<u32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dtable: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  let u = i / H;
  if (u >= arrayLength(&unique_ids)) { return; }
  let row = unique_ids[u] - FIRST_ROW;
  if (starts[u] == starts[u + 1u] || row >= arrayLength(&dtable) / H) { return; }
  var sum = 0.0;
  for (var n = starts[u]; n < starts[u + 1u]; n++) { sum += dy[order[n] * H + i % H]; }
  dtable[row * H + i % H] += SCALE * sum;
}
