// attention_backward_query_subgroup: attention_backward_query for adapters whose subgroups have at least 8 invocations
//
//   Same inputs, outputs and formula; blocks and how keys are shared: attention_block.wgsl.
// ROLLED: loops over a head stay loops, since they begin at a 0 that no compiler can know (`rolled`, attention-variants.ts).
import package::attention::attention_block::block_of;
import package::attention::attention_block::own_of_eight;
import package::attention::attention_gradient_operands::dy;
import package::attention::attention_gradient_operands::stats;
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
import package::shared::softcap::capped_slope4;
import package::shared::subgroup_loads::broadcast_high;
import package::shared::subgroup_loads::broadcast_low;
import constants::HEAD4;
import constants::WORKGROUP;

enable subgroups;

@group(0) @binding(6) var<storage, read_write> dq: array<vec4f>;

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
  let own = stats[i * HEADS + block.head];

  var query: array<vec4f, HEAD4>;
  var gradient: array<vec4f, HEAD4>;
  var sum: array<vec4f, HEAD4>;
  for (var d = zero; d < HEAD4; d++) {
    query[d] = SCALE * q[row + d];
    gradient[d] = dy[row + d];
  }
  for (var walk = walk_keys(visibility[block.start], block.end); walk.key < walk.limit; walk = next_keys(walk, 8u)) {
    let own_key = own_of_eight(walk.key, subgroup_index, tokens);
    let column = key_start(own_key, kv_head);
    var score0 = vec4f();
    var score1 = vec4f();
    var dp0 = vec4f();
    var dp1 = vec4f();
    for (var d = zero; d < HEAD4; d++) {
      let key = k[column + d];
      let value = v[column + d];
      score0 += query[d] * broadcast_low(key);
      score1 += query[d] * broadcast_high(key);
      dp0 += gradient[d] * broadcast_low(value);
      dp1 += gradient[d] * broadcast_high(value);
    }
    score0 = capped4(score0);
    score1 = capped4(score1);
    let seen = eight_visible(walk, own_key, i, sees);
    let ds0 = select(vec4f(), exp(score0 - own.x) * (dp0 - own.y) * capped_slope4(score0), seen.low);
    let ds1 = select(vec4f(), exp(score1 - own.x) * (dp1 - own.y) * capped_slope4(score1), seen.high);
    for (var d = zero; d < HEAD4; d++) {
      let key = k[column + d];
      sum[d] += broadcast_low(key) * ds0 + broadcast_high(key) * ds1;
    }
  }
  if (block.start + local_index >= block.end) { return; }
  for (var d = zero; d < HEAD4; d++) {
    @if(ACCUMULATE) dq[row + d] += SCALE * sum[d];
    @else dq[row + d] = SCALE * sum[d];
  }
}
