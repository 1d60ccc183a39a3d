// token_logps_chunk_forward: one step of the online softmax, per row r over the C logits of a vocabulary chunk
//
//   m' = max(m, max_c z[r, c]);   s' = s * exp(m - m') + sum_c exp(z[r, c] - m');   z_y: the target's logit when it is here
//
//   z: [ROWS, C] f32    targets: [ROWS] u32, ids in the whole vocabulary    state: [ROWS] vec4f (m, s, z_y, m of the step before)
//   FIRST starts the state, otherwise it is continued. SOFTCAP: z becomes cap * tanh(z / cap) first (Gemma 2).
//   WEIGHTS: z is overwritten by exp(z[r, c] - m') * slope of the cap, for what is added up along (logp-direction.ts).
//
// Rows as in rows.wgsl; limited by reading z. The chunk holds columns chunk_start .. chunk_start + C of the vocabulary, which
// comes as data, so that all chunks share one pipeline.
import package::shared::elements::Elements;
import package::shared::elements::WIDTH;
import package::shared::elements::largest_of;
import package::shared::elements::sum_of;
import package::logps::logits::capped_elements;
import package::logps::logits::capped_slopes;
import package::logps::logits::element_at;
import package::shared::rows::STEP;
import package::shared::rows::first_element;
import package::shared::rows::row_max;
import package::shared::rows::row_of;
import package::shared::rows::row_sum;
import package::shared::rows::writes_row;
import constants::WORKGROUP;

@if(WEIGHTS) @group(0) @binding(0) var<storage, read_write> z: array<Elements>;
@else @group(0) @binding(0) var<storage, read> z: array<Elements>;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read_write> state: array<vec4f>;
@group(0) @binding(3) var<storage, read> chunk_start: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) local_index: u32) {
  let row = row_of(workgroup, workgroups, local_index);
  if (row >= arrayLength(&state)) { return; }
  let columns = arrayLength(&z) / arrayLength(&state);
  let base = row * columns;
  @if(FIRST) let before = vec4f(-3.4e38, 0.0, 0.0, 0.0);
  @else let before = state[row];
  // A target before chunk_start wraps around to a large number and falls out as well.
  let column = targets[row] - chunk_start[0];
  var target_logit = before.z;
  if (column < columns * WIDTH) { target_logit = element_at(capped_elements(z[base + column / WIDTH]), column); }

  var own_largest = Elements(before.x);
  for (var c = first_element(local_index); c < columns; c += STEP) { own_largest = max(own_largest, capped_elements(z[base + c])); }
  let largest = row_max(vec4f(largest_of(own_largest)), local_index).x;
  // The chunk's own sum first: 100,000 terms added to one running total would cost five digits.
  var own_sum = Elements();
  for (var c = first_element(local_index); c < columns; c += STEP) {
    let value = capped_elements(z[base + c]);
    let weight = exp(value - largest);
    own_sum += weight;
    @if(WEIGHTS) z[base + c] = weight * capped_slopes(value);
  }
  let chunk_sum = row_sum(vec4f(sum_of(own_sum)), local_index).x;
  if (writes_row(local_index)) {
    state[row] = vec4f(largest, before.y * exp(before.x - largest) + chunk_sum, target_logit, before.x);
  }
}
