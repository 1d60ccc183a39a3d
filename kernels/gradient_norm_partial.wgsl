// gradient_norm_partial: partial[OFFSET + s] = sum of squares of the s-th of SPLITS runs of a gradient slab
//
//   gradient: f32    partial: f32, SPLITS values from OFFSET on, overwritten.
//
// One invocation per run, in order, so that equal inputs give equal bits. Runs are 1/SPLITS of the slab.
import constants::WORKGROUP;

override SPLITS: u32;
override OFFSET: u32;

@group(0) @binding(0) var<storage, read> gradient: array<f32>;
@group(0) @binding(1) var<storage, read_write> partial: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= SPLITS) { return; }
  let length = arrayLength(&gradient);
  let run = (length + SPLITS - 1u) / SPLITS;
  var sum = 0.0;
  for (var i = id.x * run; i < min((id.x + 1u) * run, length); i++) { sum += gradient[i] * gradient[i]; }
  partial[OFFSET + id.x] = sum;
}
