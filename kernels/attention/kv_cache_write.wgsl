// kv_cache_write: keys[b, positions[b], :] = k[b, :] and the same for v
//
//   k, v: [B, WIDTH] f32    positions: [B] u32    keys, values: [B, LENGTH, WIDTH] f32, other places untouched.
//
// One invocation per (sequence, element).
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

override WIDTH: u32;
override LENGTH: u32;

@group(0) @binding(0) var<storage, read> k: array<f32>;
@group(0) @binding(1) var<storage, read> v: array<f32>;
@group(0) @binding(2) var<storage, read> positions: array<u32>;
@group(0) @binding(3) var<storage, read_write> keys: array<f32>;
@group(0) @binding(4) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let invocation = invocation_index(id, workgroups, WORKGROUP);
  if (invocation >= arrayLength(&k)) { return; }
  let sequence = invocation / WIDTH;
  let place = (sequence * LENGTH + positions[sequence]) * WIDTH + invocation % WIDTH;
  keys[place] = k[invocation];
  values[place] = v[invocation];
}
