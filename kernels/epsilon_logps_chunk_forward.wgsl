// epsilon_logps_chunk_forward: one step of four online softmaxes per row, over a vocabulary chunk of two logit streams
//
//   the streams z (policy), r (reference), z + E (z - r) and z - E (z - r), all in f32; where z = r all four are equal, bit for bit
//
//   z, r: [ROWS, C] f32    targets: [ROWS] u32    state: [ROWS] x (maxima, sums, target logits), vec4f over the streams
//   FIRST starts the state, otherwise it is continued. SOFTCAP caps both logits first.
//
// One invocation per row, no barriers; limited by reading the two chunks. Columns chunk_start .. chunk_start + C.
import package::grid::invocation_index;
import package::softcap::capped;
import constants::WORKGROUP;

override C: u32;
override E: f32;

@group(0) @binding(0) var<storage, read> z: array<f32>;
@group(0) @binding(1) var<storage, read> r: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read_write> state: array<vec4f>;
@group(0) @binding(4) var<storage, read> chunk_start: array<u32>;

fn streams(i: u32) -> vec4f {
  let policy = capped(z[i]);
  let reference = capped(r[i]);
  let step = E * (policy - reference);
  return vec4f(policy, reference, policy + step, policy - step);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let row = invocation_index(id, workgroups, WORKGROUP);
  if (row >= arrayLength(&targets)) { return; }
  @if(FIRST) let before = vec4f(-3.4e38);
  @else let before = state[3u * row];
  @if(FIRST) var sums = vec4f();
  @else var sums = state[3u * row + 1u];

  var largest = before;
  for (var c = 0u; c < C; c++) { largest = max(largest, streams(row * C + c)); }
  sums *= exp(before - largest);
  for (var c = 0u; c < C; c++) { sums += exp(streams(row * C + c) - largest); }
  state[3u * row] = largest;
  state[3u * row + 1u] = sums;
  let column = targets[row] - chunk_start[0];
  if (targets[row] >= chunk_start[0] && column < C) { state[3u * row + 2u] = streams(row * C + column); }
}
