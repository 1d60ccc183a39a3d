// token_logps_chunk_backward: dz[r, c] = dlogp[r] * (1[c = y_r] - exp(z[r, c] - lse[r])), in place over the logits
//
//   z: [ROWS, C] f32, overwritten by dz    targets, lse, dlogps: [ROWS]
//   SOFTCAP: z holds raw logits; the slope of the cap is multiplied in.
//
// One invocation per logit, no barriers. The chunk holds columns chunk_start .. chunk_start + C of the vocabulary.
import package::grid::workgroup_index;
import package::softcap::capped;
import package::softcap::capped_slope;
import constants::WORKGROUP;

override C: u32;

@group(0) @binding(0) var<storage, read_write> z: array<f32>;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read> lse: array<f32>;
@group(0) @binding(3) var<storage, read> dlogps: array<f32>;
@group(0) @binding(4) var<storage, read> chunk_start: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = workgroup_index(workgroup, workgroups) * WORKGROUP + lane;
  if (i >= arrayLength(&z)) { return; }
  let row = i / C;
  let value = capped(z[i]);
  let hit = select(0.0, 1.0, chunk_start[0] + i % C == targets[row]);
  z[i] = dlogps[row] * (hit - exp(value - lse[row])) * capped_slope(value);
}
