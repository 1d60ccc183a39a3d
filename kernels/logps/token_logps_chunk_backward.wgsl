// token_logps_chunk_backward: dz[r, c] = dlogp[r] * (1[c = y_r] - exp(z[r, c] - lse[r])), in place over the logits
//
//   z: [ROWS, C] f32, overwritten by dz    targets, lse, dlogps: [ROWS]
//   SOFTCAP: z holds raw logits; the slope of the cap is multiplied in.
//
// One invocation per four logits (VEC4) or per logit. The chunk holds columns chunk_start .. chunk_start + C of the vocabulary.
import package::shared::elements::Elements;
import package::shared::elements::WIDTH;
import package::shared::grid::workgroup_index;
import package::logps::logits::capped_elements;
import package::logps::logits::capped_slopes;
import constants::WORKGROUP;

@group(0) @binding(0) var<storage, read_write> z: array<Elements>;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read> lse: array<f32>;
@group(0) @binding(3) var<storage, read> dlogps: array<f32>;
@group(0) @binding(4) var<storage, read> chunk_start: array<u32>;

/// 1 where the first of some neighbouring columns, or one of those after it, is the wanted one.
@if(VEC4) fn hits(first: u32, wanted: u32) -> Elements {
  return select(vec4f(), vec4f(1.0), vec4u(first, first + 1u, first + 2u, first + 3u) == vec4u(wanted));
}
@else fn hits(first: u32, wanted: u32) -> Elements { return select(0.0, 1.0, first == wanted); }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) local_index: u32) {
  let i = workgroup_index(workgroup, workgroups) * WORKGROUP + local_index;
  if (i >= arrayLength(&z)) { return; }
  let columns = arrayLength(&z) / arrayLength(&lse);
  let row = i / columns;
  let value = capped_elements(z[i]);
  let hit = hits(chunk_start[0] + (i - row * columns) * WIDTH, targets[row]);
  z[i] = dlogps[row] * (hit - exp(value - lse[row])) * capped_slopes(value);
}
