// attention_forward: packed, prompt-shared causal attention
//
//   y[i, h] = sum_j softmax_j(s_ij) v[j, h / GROUP],   s_ij = SCALE q[i, h] . k[j, h / GROUP]
//   over the keys j that i sees (visible_keys.wgsl).   SOFTCAP: s becomes cap * tanh(s / cap).
//
//   Operands: attention_operands.wgsl. y: as q    lse: [T, HEADS] f32, log sum_j exp s_ij. Both are overwritten.
//
// One invocation per (token, head), neighbouring invocations on neighbouring tokens of one head, so that they walk the same
// keys. Online softmax, no barriers; limited by load instructions.
// ROLLED: loops over a head stay loops, since they begin at a 0 that no compiler can know (`rolled`, attention-variants.ts).
import package::attention::attention_operands::HEADS;
import package::attention::attention_operands::SCALE;
import package::attention::attention_operands::group_size;
import package::attention::attention_operands::k;
import package::attention::attention_operands::key_start;
import package::attention::attention_operands::q;
import package::attention::attention_operands::query_start;
import package::attention::attention_operands::v;
import package::attention::visible_keys::in_window;
import package::attention::visible_keys::next_keys;
import package::attention::visible_keys::visibility;
import package::attention::visible_keys::walk_keys;
import package::shared::grid::invocation_index;
import package::shared::softcap::capped;
import constants::HEAD4;
import constants::WORKGROUP;

@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> lse: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let invocation = invocation_index(id, workgroups, WORKGROUP);
  let tokens = arrayLength(&visibility);
  if (invocation >= tokens * HEADS) { return; }
  @if(ROLLED) let zero = workgroups.z - 1u;
  @else const zero = 0u;
  let i = invocation % tokens;
  let head = invocation / tokens;
  let kv_head = head / group_size();
  let row = query_start(i, head);
  let sees = visibility[i];

  var query: array<vec4f, HEAD4>;
  var sum: array<vec4f, HEAD4>;
  for (var d = zero; d < HEAD4; d++) { query[d] = SCALE * q[row + d]; }

  var largest = -3.4e38;
  var total = 0.0;
  for (var walk = walk_keys(sees, i + 1u); walk.key < walk.limit; walk = next_keys(walk, 1u)) {
    if (!in_window(sees, walk.key)) { continue; }
    let column = key_start(walk.key, kv_head);
    var score = 0.0;
    for (var d = zero; d < HEAD4; d++) { score += dot(query[d], k[column + d]); }
    score = capped(score);
    let larger = max(largest, score);
    let shrink = exp(largest - larger);
    let weight = exp(score - larger);
    total = total * shrink + weight;
    for (var d = zero; d < HEAD4; d++) { sum[d] = sum[d] * shrink + weight * v[column + d]; }
    largest = larger;
  }
  for (var d = zero; d < HEAD4; d++) { y[row + d] = sum[d] / total; }
  lse[i * HEADS + head] = largest + log(total);
}
