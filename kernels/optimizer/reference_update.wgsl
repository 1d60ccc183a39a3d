// reference_update: reference = ALPHA * policy + (1 - ALPHA) * reference   (TR-DPO, Eq. 4 and 5)
//
//   policy, reference: equal length, f32; the reference is updated in place, unless the step's gradient was not finite
//   (norm of gradient_norm.wgsl). One invocation per element.
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

override ALPHA: f32;

@group(0) @binding(0) var<storage, read> policy: array<f32>;
@group(0) @binding(1) var<storage, read_write> reference: array<f32>;
@group(0) @binding(2) var<storage, read> norm: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= arrayLength(&reference) || norm[2] == 0.0) { return; }
  reference[i] = ALPHA * policy[i] + (1.0 - ALPHA) * reference[i];
}
