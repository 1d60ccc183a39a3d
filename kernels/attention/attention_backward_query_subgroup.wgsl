// attention_backward_query_subgroup: attention_backward_query for adapters whose subgroups have at least 8 lanes
//
//   Same inputs, outputs and formula; blocks, keys and lanes as in attention_forward_subgroup.
// ROLLED: loops over a head stay loops, since they begin at a 0 that no compiler can know (see attention.ts).
import package::shared::grid::workgroup_index;
import package::shared::subgroup_loads::broadcast_high;
import package::shared::subgroup_loads::broadcast_high_scalar;
import package::shared::subgroup_loads::broadcast_low;
import package::shared::subgroup_loads::broadcast_low_scalar;
import package::attention::visibility::visible;
import package::shared::softcap::capped4;
import package::shared::softcap::capped_slope4;
import constants::HEAD4;
import constants::WORKGROUP;

enable subgroups;

override HEADS: u32;
override KV_HEADS: u32;
override SCALE: f32;
@if(WINDOWED) override WINDOW: u32;

@group(0) @binding(0) var<storage, read> q: array<vec4f>;
@group(0) @binding(1) var<storage, read> k: array<vec4f>;
@group(0) @binding(2) var<storage, read> v: array<vec4f>;
@group(0) @binding(3) var<storage, read> visibility: array<vec4u>;
@group(0) @binding(4) var<storage, read> dy: array<vec4f>;
@group(0) @binding(5) var<storage, read> stats: array<vec2f>;
@group(0) @binding(6) var<storage, read_write> dq: array<vec4f>;
@group(0) @binding(7) var<storage, read> blocks: array<vec2u>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
  @if(ROLLED) let first = workgroups.z - 1u;
  @else const first = 0u;
  let tokens = arrayLength(&visibility);
  let block = workgroup_index(workgroup, workgroups);
  let own_block = blocks[block % arrayLength(&blocks)];
  if (own_block.y == 0u) { return; }
  let start = own_block.x;
  let end = start + own_block.y;
  let i = min(start + lane, end - 1u);
  let head = block / arrayLength(&blocks);
  if (head >= HEADS) { return; }
  let kv_head = head / (HEADS / KV_HEADS);
  let share = subgroup_lane % 8u;
  let sees = visibility[i];
  let row = (i * HEADS + head) * HEAD4;
  let own = stats[i * HEADS + head];

  // First the prompt, then the own branch; to a prompt token they are one. All tokens of a block see the same stretches.
  var key0 = visibility[start].x;
  let branch_start = visibility[start].z;
  var limit = select(visibility[start].y, end, branch_start == key0);

  var query: array<vec4f, HEAD4>;
  var gradient: array<vec4f, HEAD4>;
  var sum: array<vec4f, HEAD4>;
  for (var d = first; d < HEAD4; d++) {
    query[d] = SCALE * q[row + d];
    gradient[d] = dy[row + d];
  }
  loop {
    if (key0 >= limit) {
      if (limit == end) { break; }
      key0 = branch_start;
      limit = end;
    }
    let mine = (min(key0 + share, tokens - 1u) * KV_HEADS + kv_head) * HEAD4;
    var score0 = vec4f();
    var score1 = vec4f();
    var dp0 = vec4f();
    var dp1 = vec4f();
    for (var d = first; d < HEAD4; d++) {
      let key = k[mine + d];
      let value = v[mine + d];
      score0 += query[d] * broadcast_low(key);
      score1 += query[d] * broadcast_high(key);
      dp0 += gradient[d] * broadcast_low(value);
      dp1 += gradient[d] * broadcast_high(value);
    }
    score0 = capped4(score0);
    score1 = capped4(score1);
    let keys0 = vec4u(key0) + vec4u(0u, 1u, 2u, 3u);
    let keys1 = keys0 + 4u;
    @if(WINDOWED) let position = f32(visibility[min(key0 + share, tokens - 1u)].w);
    @if(WINDOWED) let visible0 = visible(keys0, limit, i, sees) & (f32(sees.w) - broadcast_low_scalar(position) < vec4f(f32(WINDOW)));
    @if(WINDOWED) let visible1 = visible(keys1, limit, i, sees) & (f32(sees.w) - broadcast_high_scalar(position) < vec4f(f32(WINDOW)));
    @if(!WINDOWED) let visible0 = visible(keys0, limit, i, sees);
    @if(!WINDOWED) let visible1 = visible(keys1, limit, i, sees);
    let ds0 = select(vec4f(), exp(score0 - own.x) * (dp0 - own.y) * capped_slope4(score0), visible0);
    let ds1 = select(vec4f(), exp(score1 - own.x) * (dp1 - own.y) * capped_slope4(score1), visible1);
    for (var d = first; d < HEAD4; d++) {
      let key = k[mine + d];
      sum[d] += broadcast_low(key) * ds0 + broadcast_high(key) * ds1;
    }
    key0 += 8u;
  }
  if (start + lane >= end) { return; }
  for (var d = first; d < HEAD4; d++) {
    @if(ACCUMULATE) dq[row + d] += SCALE * sum[d];
    @else dq[row + d] = SCALE * sum[d];
  }
}
