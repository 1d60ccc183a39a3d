// token_logps_chunk_forward: one step of the online softmax, per row r over the C logits of a vocabulary chunk
//
//   m' = max(m, max_c z[r, c]);   s' = s * exp(m - m') + sum_c exp(z[r, c] - m');   z_y: the target's logit when it is here
//
//   z: [ROWS, C] f32    targets: [ROWS] u32, ids in the whole vocabulary    state: [ROWS] vec4f (m, s, z_y, unused)
//   FIRST starts the state, otherwise it is continued. SOFTCAP: z becomes cap * tanh(z / cap) first (Gemma 2).
//
// One invocation per row, no barriers. The chunk holds columns V0 .. V0 + C of the vocabulary; limited by reading z once.
import package::grid::invocation_index;
import package::softcap::capped;
import constants::WORKGROUP;

override C: u32;
// The chunk's place in the vocabulary comes as data, so that all chunks share one pipeline.
@group(0) @binding(0) var<storage, read> z: array<f32>;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read_write> state: array<vec4f>;
@group(0) @binding(3) var<storage, read> chunk_start: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let invocation = invocation_index(id, workgroups, WORKGROUP);
  let row = invocation;
  if (row >= arrayLength(&state)) { return; }
  @if(FIRST) var s = vec4f(-3.4e38, 0.0, 0.0, 0.0);
  @else var s = state[row];
  let base = row * C;

  var largest = s.x;
  for (var c = 0u; c < C; c++) { largest = max(largest, capped(z[base + c])); }
  // The chunk's own sum first: 100,000 terms added to one running total would cost five digits.
  var chunk_sum = 0.0;
  for (var c = 0u; c < C; c++) { chunk_sum += exp(capped(z[base + c]) - largest); }
  let sum = s.y * exp(s.x - largest) + chunk_sum;
  let column = targets[row] - chunk_start[0];
  if (targets[row] >= chunk_start[0] && column < C) { s.z = capped(z[base + column]); }
  state[row] = vec4f(largest, sum, s.z, 0.0);
}
