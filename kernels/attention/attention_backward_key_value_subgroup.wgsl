// attention_backward_key_value_subgroup: attention_backward_key_value for adapters whose subgroups have at least 8 invocations
//
//   Same inputs, outputs and formula. A workgroup makes a block of keys of one kv head and walks, head by head of the group,
//   the queries that see them; blocks and how queries are shared: attention_block.wgsl.
// ROLLED: loops over a head stay loops, since they begin at a 0 that no compiler can know (`rolled`, attention-variants.ts).
import package::attention::attention_block::block_of;
import package::attention::attention_block::four_from;
import package::attention::attention_block::own_of_eight;
import package::attention::attention_gradient_operands::dy;
import package::attention::attention_gradient_operands::stats;
import package::attention::attention_operands::HEADS;
import package::attention::attention_operands::KV_HEADS;
import package::attention::attention_operands::SCALE;
import package::attention::attention_operands::group_size;
import package::attention::attention_operands::k;
import package::attention::attention_operands::key_start;
import package::attention::attention_operands::q;
import package::attention::attention_operands::query_start;
import package::attention::attention_operands::v;
import package::attention::seeing_queries::seeing;
import package::attention::seeing_queries::seen;
import package::shared::softcap::capped4;
import package::shared::softcap::capped_slope4;
import package::shared::subgroup_loads::broadcast_high;
import package::shared::subgroup_loads::broadcast_high_scalar;
import package::shared::subgroup_loads::broadcast_low;
import package::shared::subgroup_loads::broadcast_low_scalar;
import constants::HEAD4;
import constants::WORKGROUP;

@if(WINDOWED) import package::attention::seeing_queries::WINDOW;

enable subgroups;

@group(0) @binding(6) var<storage, read_write> dk: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> dv: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local_index: u32,
  @builtin(subgroup_invocation_id) subgroup_index: u32,
) {
  @if(ROLLED) let zero = workgroups.z - 1u;
  @else const zero = 0u;
  let tokens = arrayLength(&seen);
  let block = block_of(workgroup, workgroups);
  let kv_head = block.head;
  if (block.start == block.end || kv_head >= KV_HEADS) { return; }
  let j = min(block.start + local_index, block.end - 1u);
  let first_head = kv_head * group_size();
  let column = key_start(j, kv_head);
  let own = seen[j];

  // Tokens of a block are seen up to the same one; only empty slots are seen by themselves alone.
  let end = max(seen[block.start].x, block.end);

  var key: array<vec4f, HEAD4>;
  var value: array<vec4f, HEAD4>;
  var key_sum: array<vec4f, HEAD4>;
  var value_sum: array<vec4f, HEAD4>;
  for (var d = zero; d < HEAD4; d++) {
    key[d] = SCALE * k[column + d];
    value[d] = v[column + d];
  }
  for (var head = first_head; head < first_head + group_size(); head++) {
    for (var i0 = block.start; i0 < end; i0 += 8u) {
      let i = own_of_eight(i0, subgroup_index, tokens);
      let row = query_start(i, head);
      var score0 = vec4f();
      var score1 = vec4f();
      var dp0 = vec4f();
      var dp1 = vec4f();
      for (var d = zero; d < HEAD4; d++) {
        let query = q[row + d];
        let gradient = dy[row + d];
        score0 += key[d] * broadcast_low(query);
        score1 += key[d] * broadcast_high(query);
        dp0 += value[d] * broadcast_low(gradient);
        dp1 += value[d] * broadcast_high(gradient);
      }
      score0 = capped4(score0);
      score1 = capped4(score1);
      var sees0 = seeing(four_from(i0), j, own);
      var sees1 = seeing(four_from(i0 + 4u), j, own);
      @if(WINDOWED) {
        let position = f32(seen[i].y);
        let reach = vec4f(f32(own.y + WINDOW));
        sees0 = sees0 & (broadcast_low_scalar(position) < reach);
        sees1 = sees1 & (broadcast_high_scalar(position) < reach);
      }
      let stat = stats[i * HEADS + head];
      let p0 = select(vec4f(), exp(score0 - broadcast_low_scalar(stat.x)), sees0);
      let p1 = select(vec4f(), exp(score1 - broadcast_high_scalar(stat.x)), sees1);
      let ds0 = p0 * (dp0 - broadcast_low_scalar(stat.y)) * capped_slope4(score0);
      let ds1 = p1 * (dp1 - broadcast_high_scalar(stat.y)) * capped_slope4(score1);
      for (var d = zero; d < HEAD4; d++) {
        let query = q[row + d];
        let gradient = dy[row + d];
        key_sum[d] += broadcast_low(query) * ds0 + broadcast_high(query) * ds1;
        value_sum[d] += broadcast_low(gradient) * p0 + broadcast_high(gradient) * p1;
      }
    }
  }
  if (block.start + local_index >= block.end) { return; }
  for (var d = zero; d < HEAD4; d++) {
    dk[column + d] = SCALE * key_sum[d];
    dv[column + d] = value_sum[d];
  }
}
