// bmc_weights: lambda[r] = 1 + diff[r] * min(exp(-logps[r]), DELTA)   (BMC, Eq. 7 and 10)
//
//   logps, diff: [R] f32, diff 0 or 1    lambda: [R] f32, overwritten. A constant to the gradient.
//
// One invocation per token. exp overflows for very unlikely tokens, but only beyond what min then cuts.
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

override DELTA: f32;

@group(0) @binding(0) var<storage, read> logps: array<f32>;
@group(0) @binding(1) var<storage, read> diff: array<f32>;
@group(0) @binding(2) var<storage, read_write> lambda: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let r = invocation_index(id, workgroups, WORKGROUP);
  if (r >= arrayLength(&lambda)) { return; }
  lambda[r] = 1.0 + diff[r] * min(exp(min(-logps[r], 80.0)), DELTA);
}
