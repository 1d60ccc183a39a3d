// attention_forward_subgroup: attention_forward for adapters whose subgroups have at least 8 invocations
//
//   Same inputs, outputs and formula; blocks and how keys are shared: attention_block.wgsl. The online softmax shrinks its
//   sums once per 8 keys.
// ROLLED: loops over a head stay loops, since they begin at a 0 that no compiler can know (`rolled`, attention-variants.ts).
import package::attention::attention_block::block_of;
import package::attention::attention_block::own_of_eight;
import package::attention::attention_operands::HEADS;
import package::attention::attention_operands::SCALE;
import package::attention::attention_operands::group_size;
import package::attention::attention_operands::k;
import package::attention::attention_operands::key_start;
import package::attention::attention_operands::q;
import package::attention::attention_operands::query_start;
import package::attention::attention_operands::v;
import package::attention::visible_keys::next_keys;
import package::attention::visible_keys::visibility;
import package::attention::visible_keys::walk_keys;
import package::attention::visible_keys_of_block::eight_visible;
import package::shared::softcap::capped4;
import package::shared::subgroup_loads::broadcast_high;
import package::shared::subgroup_loads::broadcast_low;
import constants::HEAD4;
import constants::WORKGROUP;

enable subgroups;

@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> lse: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local_index: u32,
  @builtin(subgroup_invocation_id) subgroup_index: u32,
) {
  @if(ROLLED) let zero = workgroups.z - 1u;
  @else const zero = 0u;
  let tokens = arrayLength(&visibility);
  let block = block_of(workgroup, workgroups);
  if (block.start == block.end || block.head >= HEADS) { return; }
  let i = min(block.start + local_index, block.end - 1u);
  let kv_head = block.head / group_size();
  let row = query_start(i, block.head);
  let sees = visibility[i];

  var query: array<vec4f, HEAD4>;
  var sum: array<vec4f, HEAD4>;
  for (var d = zero; d < HEAD4; d++) { query[d] = SCALE * q[row + d]; }
  var largest = -3.4e38;
  var total = 0.0;
  for (var walk = walk_keys(visibility[block.start], block.end); walk.key < walk.limit; walk = next_keys(walk, 8u)) {
    let own_key = own_of_eight(walk.key, subgroup_index, tokens);
    let column = key_start(own_key, kv_head);
    var score0 = vec4f();
    var score1 = vec4f();
    for (var d = zero; d < HEAD4; d++) {
      let key = k[column + d];
      score0 += query[d] * broadcast_low(key);
      score1 += query[d] * broadcast_high(key);
    }
    let seen = eight_visible(walk, own_key, i, sees);
    score0 = select(vec4f(-3.4e38), capped4(score0), seen.low);
    score1 = select(vec4f(-3.4e38), capped4(score1), seen.high);

    let eight = max(score0, score1);
    let four = max(eight.xy, eight.zw);
    let larger = max(largest, max(four.x, four.y));
    let shrink = exp(largest - larger);
    let weight0 = select(vec4f(), exp(score0 - larger), seen.low);
    let weight1 = select(vec4f(), exp(score1 - larger), seen.high);
    total = total * shrink + dot(weight0, vec4f(1.0)) + dot(weight1, vec4f(1.0));
    for (var d = zero; d < HEAD4; d++) {
      let value = v[column + d];
      sum[d] = sum[d] * shrink + broadcast_low(value) * weight0 + broadcast_high(value) * weight1;
    }
    largest = larger;
  }
  if (block.start + local_index >= block.end) { return; }
  for (var d = zero; d < HEAD4; d++) { y[row + d] = sum[d] / total; }
  lse[i * HEADS + block.head] = largest + log(total);
}
