// attention_backward_key_value: dk[j] = SCALE sum_i,h ds_ij q[i, h],   dv[j] = sum_i,h p_ij dy[i, h]
//
//   p_ij and ds_ij as in attention_backward_query. The sum goes over the queries i that see j (seeing_queries.wgsl) and over the
//   heads h of j's group, in that order: equal inputs give equal bits. dk, dv: as k; both are overwritten.
//   Operands: attention_operands.wgsl, attention_gradient_operands.wgsl.
//
// One invocation per (key token, kv head), neighbouring invocations on neighbouring tokens; no barriers, no atomics.
// ROLLED: loops over a head stay loops, since they begin at a 0 that no compiler can know (`rolled`, attention-variants.ts).
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
import package::attention::seeing_queries::in_window;
import package::attention::seeing_queries::seen;
import package::shared::grid::invocation_index;
import package::shared::softcap::capped;
import package::shared::softcap::capped_slope;
import constants::HEAD4;
import constants::WORKGROUP;

@group(0) @binding(6) var<storage, read_write> dk: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> dv: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let invocation = invocation_index(id, workgroups, WORKGROUP);
  let tokens = arrayLength(&seen);
  if (invocation >= tokens * KV_HEADS) { return; }
  @if(ROLLED) let zero = workgroups.z - 1u;
  @else const zero = 0u;
  let j = invocation % tokens;
  let kv_head = invocation / tokens;
  let first_head = kv_head * group_size();
  let column = key_start(j, kv_head);
  let own = seen[j];

  var key: array<vec4f, HEAD4>;
  var value: array<vec4f, HEAD4>;
  var key_sum: array<vec4f, HEAD4>;
  var value_sum: array<vec4f, HEAD4>;
  for (var d = zero; d < HEAD4; d++) {
    key[d] = SCALE * k[column + d];
    value[d] = v[column + d];
  }
  for (var i = j; i < own.x; i++) {
    if (!in_window(i, own)) { continue; }
    for (var head = first_head; head < first_head + group_size(); head++) {
      let row = query_start(i, head);
      var score = 0.0;
      var dp = 0.0;
      for (var d = zero; d < HEAD4; d++) {
        score += dot(q[row + d], key[d]);
        dp += dot(dy[row + d], value[d]);
      }
      score = capped(score);
      let stat = stats[i * HEADS + head];
      let p = exp(score - stat.x);
      let ds = p * (dp - stat.y) * capped_slope(score);
      for (var d = zero; d < HEAD4; d++) {
        key_sum[d] += ds * q[row + d];
        value_sum[d] += p * dy[row + d];
      }
    }
  }
  for (var d = zero; d < HEAD4; d++) {
    dk[column + d] = SCALE * key_sum[d];
    dv[column + d] = value_sum[d];
  }
}
