// attention_forward_tiled: attention_forward for GPUs, 32 queries of one head to a workgroup, 32 keys at a time
//
//   Bindings and results are those of attention_forward, but that y may be the input of a product in f16 (HALF, `half_input` of half.wgsl), and the blocks of attention_query_tile.wgsl, where tiles of queries begin.
//   Tiles of keys that none of the queries sees are skipped. Per tile: scores from chunks of q and k, a step of the online
//   softmax by one invocation a query, then the chunks of v that they weight.
import package::attention::attention_operands::HEADS;
import package::attention::attention_operands::group_size;
import package::attention::attention_operands::query_start;
import package::attention::attention_query_tile::query_tile;
import package::attention::attention_tile::CHUNK;
import package::attention::attention_tile::CHUNKS;
import package::attention::attention_tile::SCORE_PITCH;
import package::attention::attention_tile::TILE;
import package::attention::attention_tile::brought;
import package::attention::attention_tile::key_at;
import package::attention::attention_tile::own_columns;
import package::attention::attention_tile::products;
import package::attention::attention_tile::put_left;
import package::attention::attention_tile::put_right;
import package::attention::attention_tile::put_scores;
import package::attention::attention_tile::query_at;
import package::attention::attention_tile::scores;
import package::attention::attention_tile::value_at;
import package::attention::attention_tile::weighted;
import package::attention::visible_keys::next_keys;
import package::attention::visible_keys::sees_any;
import package::attention::visible_keys::sees_keys;
import package::attention::visible_keys::visibility;
import package::attention::visible_keys::walk_keys;
import package::shared::half::half_input;
import package::shared::softcap::capped4;
import constants::HEAD4;
import constants::WORKGROUP;

@if(HALF) @group(0) @binding(4) var<storage, read_write> y: array<vec2u>;
@if(!HALF) @group(0) @binding(4) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> lse: array<f32>;

/// What a score is where nothing is seen; its exponential counts as 0.
const UNSEEN = -3.4e38;

/// By how much each query's sums shrink when its maximum rises; at the end, what they are multiplied by.
var<workgroup> shrink: array<f32, TILE>;

fn put_result(i: u32, result: vec4f) {
  @if(HALF) y[i] = half_input(result);
  @if(!HALF) y[i] = result;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) local_index: u32) {
  @if(ROLLED) let zero = workgroups.z - 1u;
  @else const zero = 0u;
  let own = query_tile(workgroup, workgroups, TILE);
  if (own.first == own.end || own.head >= HEADS) { return; }
  let kv_head = own.head / group_size();
  let r = local_index / 8u;
  // The first TILE invocations keep the softmax of a query each.
  let query = own.first + local_index % TILE;
  var largest = UNSEEN;
  var total = 0.0;

  var sums: array<mat4x4f, CHUNKS>;
  for (var walk = walk_keys(visibility[own.first], own.end); walk.key < walk.limit; walk = next_keys(walk, TILE)) {
    // What any of the queries sees, the first does: its window reaches back furthest, and the last tile begins with it.
    if (!sees_any(own.first, walk.key, TILE)) { continue; }
    var score = mat4x4f();
    for (var chunk = zero; chunk < CHUNKS; chunk++) {
      workgroupBarrier();
      for (var part = zero; part < 4u; part++) {
        let place = brought(local_index, part);
        let d = chunk * CHUNK + place.y;
        put_left(place, query_at(own.first + place.x, own.head, d));
        put_right(place, key_at(walk.key + place.x, kv_head, d));
      }
      workgroupBarrier();
      score += products(local_index, zero);
    }
    let columns = own_columns(walk.key, local_index);
    for (var n = 0u; n < 4u; n++) {
      // The last tile of a prompt's keys may reach into an answer, whose keys are walked later.
      let seen = sees_keys(own.first + r + 8u * n, columns) & (columns < vec4u(walk.limit));
      score[n] = select(vec4f(UNSEEN), capped4(score[n]), seen);
    }
    put_scores(local_index, score);
    workgroupBarrier();
    if (local_index < TILE) {
      let row = local_index * SCORE_PITCH;
      var larger = largest;
      for (var j = zero; j < TILE; j++) { larger = max(larger, scores[row + j]); }
      var sum = 0.0;
      for (var j = zero; j < TILE; j++) {
        let weight = select(exp(scores[row + j] - larger), 0.0, scores[row + j] == UNSEEN);
        scores[row + j] = weight;
        sum += weight;
      }
      shrink[local_index] = exp(largest - larger);
      total = total * shrink[local_index] + sum;
      largest = larger;
    }
    for (var chunk = zero; chunk < CHUNKS; chunk++) {
      for (var part = zero; part < 4u; part++) {
        let place = brought(local_index, part);
        put_right(place, value_at(walk.key + place.x, kv_head, chunk * CHUNK + place.y));
      }
      workgroupBarrier();
      let more = weighted(local_index, zero);
      for (var n = 0u; n < 4u; n++) { sums[chunk][n] = sums[chunk][n] * shrink[r + 8u * n] + more[n]; }
      workgroupBarrier();
    }
  }
  if (local_index < TILE) {
    // Queries past the end may have seen nothing; nobody stores theirs.
    shrink[local_index] = 1.0 / total;
    if (query < own.end) { lse[query * HEADS + own.head] = largest + log(total); }
  }
  workgroupBarrier();
  for (var chunk = zero; chunk < CHUNKS; chunk++) {
    let d = chunk * CHUNK + local_index % 8u;
    for (var n = 0u; n < 4u; n++) {
      let row = r + 8u * n;
      if (d < HEAD4 && own.first + row < own.end) { put_result(query_start(own.first + row, own.head) + d, shrink[row] * sums[chunk][n]); }
    }
  }
}
