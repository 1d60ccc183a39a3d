// attention_forward_subgroup: attention_forward for adapters whose subgroups have at least 8 lanes
//
//   Same inputs, outputs and formula, and blocks: [BLOCKS] vec2u (first token, count), each of at most 8 tokens of one
//   prompt or answer. A workgroup makes one block of one head and walks the keys that it sees, 8 at a time, the prompt and
//   the own branch each from its start: each lane loads one key and one value and hands them on by broadcast, so that they
//   are loaded once per subgroup and the online softmax shrinks its sums once per 8 keys. No shared memory, no barriers.
// ROLLED: loops over a head stay loops, since they begin at a 0 that no compiler can know (see attention.ts).
import package::shared::grid::workgroup_index;
import package::shared::subgroup_loads::broadcast_high;
import package::shared::subgroup_loads::broadcast_low;
import package::shared::subgroup_loads::broadcast_high_scalar;
import package::shared::subgroup_loads::broadcast_low_scalar;
import package::attention::visibility::visible;
import package::shared::softcap::capped4;
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
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> lse: array<f32>;
@group(0) @binding(6) var<storage, read> blocks: array<vec2u>;

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

  // First the prompt, then the own branch; to a prompt token they are one. All tokens of a block see the same stretches.
  var key0 = visibility[start].x;
  let branch_start = visibility[start].z;
  var limit = select(visibility[start].y, end, branch_start == key0);

  var query: array<vec4f, HEAD4>;
  var sum: array<vec4f, HEAD4>;
  for (var d = first; d < HEAD4; d++) { query[d] = SCALE * q[(i * HEADS + head) * HEAD4 + d]; }
  var largest = -3.4e38;
  var total = 0.0;
  loop {
    if (key0 >= limit) {
      if (limit == end) { break; }
      key0 = branch_start;
      limit = end;
    }
    let mine = (min(key0 + share, tokens - 1u) * KV_HEADS + kv_head) * HEAD4;
    var score0 = vec4f();
    var score1 = vec4f();
    for (var d = first; d < HEAD4; d++) {
      let key = k[mine + d];
      score0 += query[d] * broadcast_low(key);
      score1 += query[d] * broadcast_high(key);
    }
    let keys0 = vec4u(key0) + vec4u(0u, 1u, 2u, 3u);
    let keys1 = keys0 + 4u;
    @if(WINDOWED) let position = f32(visibility[min(key0 + share, tokens - 1u)].w);
    @if(WINDOWED) let visible0 = visible(keys0, limit, i, sees) & (f32(sees.w) - broadcast_low_scalar(position) < vec4f(f32(WINDOW)));
    @if(WINDOWED) let visible1 = visible(keys1, limit, i, sees) & (f32(sees.w) - broadcast_high_scalar(position) < vec4f(f32(WINDOW)));
    @if(!WINDOWED) let visible0 = visible(keys0, limit, i, sees);
    @if(!WINDOWED) let visible1 = visible(keys1, limit, i, sees);
    score0 = select(vec4f(-3.4e38), capped4(score0), visible0);
    score1 = select(vec4f(-3.4e38), capped4(score1), visible1);

    let eight = max(score0, score1);
    let four = max(eight.xy, eight.zw);
    let larger = max(largest, max(four.x, four.y));
    let shrink = exp(largest - larger);
    let weight0 = select(vec4f(), exp(score0 - larger), visible0);
    let weight1 = select(vec4f(), exp(score1 - larger), visible1);
    total = total * shrink + dot(weight0, vec4f(1.0)) + dot(weight1, vec4f(1.0));
    for (var d = first; d < HEAD4; d++) {
      let value = v[mine + d];
      sum[d] = sum[d] * shrink + broadcast_low(value) * weight0 + broadcast_high(value) * weight1;
    }
    largest = larger;
    key0 += 8u;
  }
  if (start + lane >= end) { return; }
  for (var d = first; d < HEAD4; d++) { y[(i * HEADS + head) * HEAD4 + d] = sum[d] / total; }
  lse[i * HEADS + head] = largest + log(total);
}
