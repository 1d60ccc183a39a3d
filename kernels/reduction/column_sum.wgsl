// column_sum: y[s, h] (+)= sum of x[t, h] over the rows t of the s-th of SPLITS parts, in the order of t
//
//   x: [T, H] f32    y: [SPLITS, H] f32.   ACCUMULATE adds to y, otherwise y is overwritten. One invocation per part and column.
//   sizes: (H, SPLITS), data, so that all widths share one pipeline.
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read> sizes: vec2u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  let H = sizes.x;
  let SPLITS = sizes.y;
  if (i >= SPLITS * H) { return; }
  let rows = arrayLength(&x) / H;
  let part = (rows + SPLITS - 1u) / SPLITS;
  let first = (i / H) * part;
  var sum = 0.0;
  for (var t = first; t < min(first + part, rows); t++) { sum += x[t * H + i % H]; }
  @if(ACCUMULATE) y[i] += sum;
  @else y[i] = sum;
}
