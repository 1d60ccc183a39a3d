// attention_backward_query: dq[i, h] (+)= SCALE sum_j ds_ij k[j],   ds_ij = p_ij (dy[i] . v[j] - delta[i]) * slope of the cap
//
//   p_ij = exp(s_ij - lse[i]); scores and visibility as in attention_forward. dq: as q
//   Operands: attention_operands.wgsl, attention_gradient_operands.wgsl.
//
// One invocation per (token, head), scores computed again; no barriers, no atomics.
// ROLLED: loops over a head stay loops, since they begin at a 0 that no compiler can know (`rolled`, attention-variants.ts).
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
import package::attention::visible_keys::in_window;
import package::attention::visible_keys::next_keys;
import package::attention::visible_keys::visibility;
import package::attention::visible_keys::walk_keys;
import package::shared::grid::invocation_index;
import package::shared::softcap::capped;
import package::shared::softcap::capped_slope;
import constants::HEAD4;
import constants::WORKGROUP;

@group(0) @binding(6) var<storage, read_write> dq: array<vec4f>;

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
  let own = stats[i * HEADS + head];

  var query: array<vec4f, HEAD4>;
  var gradient: array<vec4f, HEAD4>;
  var sum: array<vec4f, HEAD4>;
  for (var d = zero; d < HEAD4; d++) {
    query[d] = SCALE * q[row + d];
    gradient[d] = dy[row + d];
  }
  for (var walk = walk_keys(sees, i + 1u); walk.key < walk.limit; walk = next_keys(walk, 1u)) {
    if (!in_window(sees, walk.key)) { continue; }
    let column = key_start(walk.key, kv_head);
    var score = 0.0;
    var dp = 0.0;
    for (var d = zero; d < HEAD4; d++) {
      score += dot(query[d], k[column + d]);
      dp += dot(gradient[d], v[column + d]);
    }
    score = capped(score);
    let ds = exp(score - own.x) * (dp - own.y) * capped_slope(score);
    for (var d = zero; d < HEAD4; d++) { sum[d] += ds * k[column + d]; }
  }
  for (var d = zero; d < HEAD4; d++) {
    @if(ACCUMULATE) dq[row + d] += SCALE * sum[d];
    @else dq[row + d] = SCALE * sum[d];
  }
}
