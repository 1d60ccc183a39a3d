// attention_forward_tiled: attention_forward for GPUs, 32 queries of one head to a workgroup, 32 keys at a time
//
//   Bindings and results are those of attention_forward. Tiles of keys that none of the queries sees are skipped. Per tile:
//   scores from chunks of q and k, a step of the online softmax by one lane a query, then the chunks of v that they weight.
import package::attention::attention_query_tile::first_key;
import package::attention::attention_query_tile::seen_keys;
import package::attention::attention_query_tile::sees_tile;
import package::attention::attention_tile::CHUNK;
import package::attention::attention_tile::CHUNKS;
import package::attention::attention_tile::HEADS;
import package::attention::attention_tile::KV_HEADS;
import package::attention::attention_tile::SCORE_PITCH;
import package::attention::attention_tile::TILE;
import package::attention::attention_tile::any_row;
import package::attention::attention_tile::brought;
import package::attention::attention_tile::has_element;
import package::attention::attention_tile::key_at;
import package::attention::attention_tile::products;
import package::attention::attention_tile::put_left;
import package::attention::attention_tile::put_right;
import package::attention::attention_tile::put_scores;
import package::attention::attention_tile::query_at;
import package::attention::attention_tile::query_place;
import package::attention::attention_tile::scores;
import package::attention::attention_tile::token_count;
import package::attention::attention_tile::value_at;
import package::attention::attention_tile::weighted;
import package::shared::grid::workgroup_index;
import package::shared::softcap::capped4;
import constants::WORKGROUP;

@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> lse: array<f32>;

/// What a score is where nothing is seen; its exponential counts as 0.
const UNSEEN = -3.4e38;

/// By how much each query's sums shrink when its maximum rises; at the end, what they are multiplied by.
var<workgroup> shrink: array<f32, TILE>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
  @if(ROLLED) let zero = workgroups.z - 1u;
  @else const zero = 0u;
  let tokens = token_count();
  let tiles = (tokens + TILE - 1u) / TILE;
  let number = workgroup_index(workgroup, workgroups);
  if (number >= tiles * HEADS) { return; }
  let head = number / tiles;
  let first = (number % tiles) * TILE;
  let kv_head = head / (HEADS / KV_HEADS);
  let r = lane / 8u;
  // The first TILE lanes keep the softmax of a query each.
  let query = first + lane % TILE;
  var largest = UNSEEN;
  var total = 0.0;

  var sums: array<mat4x4f, CHUNKS>;
  for (var key = first_key(first); key < min(first + TILE, tokens); key += TILE) {
    if (!any_row(lane, sees_tile(query, key))) { continue; }
    var own = mat4x4f();
    for (var chunk = zero; chunk < CHUNKS; chunk++) {
      workgroupBarrier();
      for (var part = zero; part < 4u; part++) {
        let place = brought(lane, part);
        let d = chunk * CHUNK + place.y;
        put_left(place, query_at(first + place.x, head, d));
        put_right(place, key_at(key + place.x, kv_head, d));
      }
      workgroupBarrier();
      own += products(lane, zero);
    }
    for (var n = 0u; n < 4u; n++) {
      own[n] = select(vec4f(UNSEEN), capped4(own[n]), seen_keys(first + r + 8u * n, key, lane));
    }
    put_scores(lane, own);
    workgroupBarrier();
    if (lane < TILE) {
      let row = lane * SCORE_PITCH;
      var larger = largest;
      for (var j = zero; j < TILE; j++) { larger = max(larger, scores[row + j]); }
      var sum = 0.0;
      for (var j = zero; j < TILE; j++) {
        let weight = select(exp(scores[row + j] - larger), 0.0, scores[row + j] == UNSEEN);
        scores[row + j] = weight;
        sum += weight;
      }
      shrink[lane] = exp(largest - larger);
      total = total * shrink[lane] + sum;
      largest = larger;
    }
    for (var chunk = zero; chunk < CHUNKS; chunk++) {
      for (var part = zero; part < 4u; part++) {
        let place = brought(lane, part);
        put_right(place, value_at(key + place.x, kv_head, chunk * CHUNK + place.y));
      }
      workgroupBarrier();
      let more = weighted(lane, zero);
      for (var n = 0u; n < 4u; n++) { sums[chunk][n] = sums[chunk][n] * shrink[r + 8u * n] + more[n]; }
      workgroupBarrier();
    }
  }
  if (lane < TILE) {
    // Queries past the end have seen nothing; nobody stores theirs.
    shrink[lane] = 1.0 / total;
    if (query < tokens) { lse[query * HEADS + head] = largest + log(total); }
  }
  workgroupBarrier();
  for (var chunk = zero; chunk < CHUNKS; chunk++) {
    let d = chunk * CHUNK + lane % 8u;
    for (var n = 0u; n < 4u; n++) {
      let row = r + 8u * n;
      if (has_element(first + row, d)) { y[query_place(first + row, head, d)] = shrink[row] * sums[chunk][n]; }
    }
  }
}
