// rms_norm_backward_weight: partial[s, h] = sum over the s-th of SPLITS parts of the tokens of dy[t, h] x[t, h] r[t]
//
//   x, dy: [T, H] f32    r: [T] f32    partial: [SPLITS, H] f32, overwritten; column_sum.wgsl adds the parts in order.
//
// One invocation per (part, column).
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

override H: u32;
override SPLITS: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> r: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> partial: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= SPLITS * H) { return; }
  let tokens = arrayLength(&r);
  let part = (tokens + SPLITS - 1u) / SPLITS;
  let first = (i / H) * part;
  var sum = 0.0;
  for (var t = first; t < min(first + part, tokens); t++) { sum += dy[t * H + i % H] * x[t * H + i % H] * r[t]; }
  partial[i] = sum;
}
