// paged_cache_write: keys[places[t], :] = k[t, :] and the same for v
//
//   k, v: [T, WIDTH] f32    places: [T] u32, rows of the cache    keys, values: [rows, WIDTH] f32, other rows untouched.
//   Tokens that share a place (padding, all of it in a row that nobody reads) leave anything there.
//
// One invocation per (token, element).
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

override WIDTH: u32;

@group(0) @binding(0) var<storage, read> k: array<f32>;
@group(0) @binding(1) var<storage, read> v: array<f32>;
@group(0) @binding(2) var<storage, read> places: array<u32>;
@group(0) @binding(3) var<storage, read_write> keys: array<f32>;
@group(0) @binding(4) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= arrayLength(&k)) { return; }
  let place = places[i / WIDTH] * WIDTH + i % WIDTH;
  keys[place] = k[i];
  values[place] = v[i];
}
