// attention_backward_key_value_subgroup: attention_backward_key_value for adapters whose subgroups have at least 8 lanes
//
//   Same inputs, outputs and formula. A workgroup makes a block of keys of one kv head (attention_forward_subgroup) and walks,
//   head by head of the group, the tokens that see them, 8 at a time: each lane loads the query and gradient of one token and
//   hands them on by broadcast. The order is fixed: equal inputs give equal bits. No shared memory, no barriers.
// ROLLED: loops over a head stay loops, since they begin at a 0 that no compiler can know (see attention.ts).
import package::shared::grid::workgroup_index;
import package::shared::subgroup_loads::broadcast_high;
import package::shared::subgroup_loads::broadcast_high_scalar;
import package::shared::subgroup_loads::broadcast_low;
import package::shared::subgroup_loads::broadcast_low_scalar;
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
@group(0) @binding(3) var<storage, read> seen: array<vec2u>;
@group(0) @binding(4) var<storage, read> dy: array<vec4f>;
@group(0) @binding(5) var<storage, read> stats: array<vec2f>;
@group(0) @binding(6) var<storage, read_write> dk: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> dv: array<vec4f>;
@group(0) @binding(8) var<storage, read> blocks: array<vec2u>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
  @if(ROLLED) let first = workgroups.z - 1u;
  @else const first = 0u;
  let tokens = arrayLength(&seen);
  let block = workgroup_index(workgroup, workgroups);
  let own_block = blocks[block % arrayLength(&blocks)];
  if (own_block.y == 0u) { return; }
  let start = own_block.x;
  let last = start + own_block.y - 1u;
  let j = min(start + lane, last);
  let kv_head = block / arrayLength(&blocks);
  if (kv_head >= KV_HEADS) { return; }
  let group = HEADS / KV_HEADS;
  let place = (j * KV_HEADS + kv_head) * HEAD4;
  let share = subgroup_lane % 8u;
  let own = seen[j];

  // Tokens of a block are seen up to the same one; only empty slots are seen by themselves alone.
  let end = max(seen[start].x, last + 1u);

  var key: array<vec4f, HEAD4>;
  var value: array<vec4f, HEAD4>;
  var key_sum: array<vec4f, HEAD4>;
  var value_sum: array<vec4f, HEAD4>;
  for (var d = first; d < HEAD4; d++) {
    key[d] = SCALE * k[place + d];
    value[d] = v[place + d];
  }
  for (var head = kv_head * group; head < (kv_head + 1u) * group; head++) {
    for (var i0 = start; i0 < end; i0 += 8u) {
      let i = min(i0 + share, tokens - 1u);
      let row = (i * HEADS + head) * HEAD4;
      var score0 = vec4f();
      var score1 = vec4f();
      var dp0 = vec4f();
      var dp1 = vec4f();
      for (var d = first; d < HEAD4; d++) {
        let query = q[row + d];
        let gradient = dy[row + d];
        score0 += key[d] * broadcast_low(query);
        score1 += key[d] * broadcast_high(query);
        dp0 += value[d] * broadcast_low(gradient);
        dp1 += value[d] * broadcast_high(gradient);
      }
      score0 = capped4(score0);
      score1 = capped4(score1);
      let queries0 = vec4u(i0) + vec4u(0u, 1u, 2u, 3u);
      let queries1 = queries0 + 4u;
      @if(WINDOWED) let reach = vec4f(f32(own.y + WINDOW));
      @if(WINDOWED) let position = f32(seen[i].y);
      @if(WINDOWED) let visible0 = (queries0 >= vec4u(j)) & (queries0 < vec4u(own.x)) & (broadcast_low_scalar(position) < reach);
      @if(WINDOWED) let visible1 = (queries1 >= vec4u(j)) & (queries1 < vec4u(own.x)) & (broadcast_high_scalar(position) < reach);
      @if(!WINDOWED) let visible0 = (queries0 >= vec4u(j)) & (queries0 < vec4u(own.x));
      @if(!WINDOWED) let visible1 = (queries1 >= vec4u(j)) & (queries1 < vec4u(own.x));
      let stat = stats[i * HEADS + head];
      let p0 = select(vec4f(), exp(score0 - broadcast_low_scalar(stat.x)), visible0);
      let p1 = select(vec4f(), exp(score1 - broadcast_high_scalar(stat.x)), visible1);
      let ds0 = p0 * (dp0 - broadcast_low_scalar(stat.y)) * capped_slope4(score0);
      let ds1 = p1 * (dp1 - broadcast_high_scalar(stat.y)) * capped_slope4(score1);
      for (var d = first; d < HEAD4; d++) {
        let query = q[row + d];
        let gradient = dy[row + d];
        key_sum[d] += broadcast_low(query) * ds0 + broadcast_high(query) * ds1;
        value_sum[d] += broadcast_low(gradient) * p0 + broadcast_high(gradient) * p1;
      }
    }
  }
  if (start + lane > last) { return; }
  for (var d = first; d < HEAD4; d++) {
    dk[place + d] = SCALE * key_sum[d];
    dv[place + d] = value_sum[d];
  }
}
