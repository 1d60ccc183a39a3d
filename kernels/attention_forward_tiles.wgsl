// attention_forward_tiles: attention_forward for GPUs, 32 queries of one head to a workgroup, 32 keys at a time
//
//   Bindings and results are those of attention_forward. Tiles of keys that none of the queries sees are skipped. Per tile:
//   scores from chunks of q and k, a step of the online softmax by one lane a query, then the chunks of v that they weight.
import package::attention_tiles::CHUNK;
import package::attention_tiles::CHUNKS;
import package::attention_tiles::PITCH;
import package::attention_tiles::SCORE_PITCH;
import package::attention_tiles::TILE;
import package::attention_tiles::UNSEEN;
import package::attention_tiles::any_row;
import package::attention_tiles::brought;
import package::attention_tiles::left;
import package::attention_tiles::products;
import package::attention_tiles::put_scores;
import package::attention_tiles::right;
import package::attention_tiles::scores;
import package::attention_tiles::weighted;
import package::grid::workgroup_index;
import package::sight::sees_some;
import package::sight::visible;
import package::softcap::capped4;
import constants::HEAD4;
import constants::WORKGROUP;

override HEADS: u32;
override KV_HEADS: u32;
override SCALE: f32;
@if(WINDOWED) override WINDOW: u32;

@group(0) @binding(0) var<storage, read> q: array<vec4f>;
@group(0) @binding(1) var<storage, read> k: array<vec4f>;
@group(0) @binding(2) var<storage, read> v: array<vec4f>;
@group(0) @binding(3) var<storage, read> sight: array<vec4u>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> lse: array<f32>;

/// By how much each query's sums shrink when its maximum rises; at the end, what they are multiplied by.
var<workgroup> shrink: array<f32, TILE>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
  @if(ROLLED) let zero = workgroups.z - 1u;
  @else const zero = 0u;
  let tokens = arrayLength(&sight);
  let tiles = (tokens + TILE - 1u) / TILE;
  let number = workgroup_index(workgroup, workgroups);
  if (number >= tiles * HEADS) { return; }
  let head = number / tiles;
  let first = (number % tiles) * TILE;
  let kv_head = head / (HEADS / KV_HEADS);
  let r = lane / 8u;
  let c = lane % 8u;
  // The first TILE lanes keep the softmax of a query each.
  let query = first + lane % TILE;
  let query_sees = sight[min(query, tokens - 1u)];
  var largest = UNSEEN;
  var total = 0.0;

  var sums: array<mat4x4f, CHUNKS>;
  // Documents lie one after the other: nothing before that of the first query is seen.
  for (var key = (sight[first].x / TILE) * TILE; key < min(first + TILE, tokens); key += TILE) {
    if (!any_row(lane, query < tokens && sees_some(key, TILE, query, query_sees))) { continue; }
    var own = mat4x4f();
    for (var chunk = zero; chunk < CHUNKS; chunk++) {
      workgroupBarrier();
      for (var part = zero; part < 4u; part++) {
        let place = brought(lane, part);
        let d = chunk * CHUNK + place.y;
        let inside = d < HEAD4;
        let i = first + place.x;
        let j = key + place.x;
        var own_query = vec4f();
        var own_key = vec4f();
        if (inside && i < tokens) { own_query = SCALE * q[(i * HEADS + head) * HEAD4 + d]; }
        if (inside && j < tokens) { own_key = k[(j * KV_HEADS + kv_head) * HEAD4 + d]; }
        left[place.x * PITCH + place.y] = own_query;
        right[place.x * PITCH + place.y] = own_key;
      }
      workgroupBarrier();
      own += products(lane, zero);
    }
    let keys = key + c + vec4u(0u, 8u, 16u, 24u);
    for (var n = 0u; n < 4u; n++) {
      let i = min(first + r + 8u * n, tokens - 1u);
      let sees = sight[i];
      var seen = visible(keys, tokens, i, sees);
      @if(WINDOWED) {
        let last = tokens - 1u;
        let positions = vec4u(sight[min(keys.x, last)].w, sight[min(keys.y, last)].w, sight[min(keys.z, last)].w, sight[min(keys.w, last)].w);
        seen = seen & (vec4u(sees.w) - positions < vec4u(WINDOW));
      }
      own[n] = select(vec4f(UNSEEN), capped4(own[n]), seen);
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
    workgroupBarrier();
    for (var chunk = zero; chunk < CHUNKS; chunk++) {
      for (var part = zero; part < 4u; part++) {
        let place = brought(lane, part);
        let d = chunk * CHUNK + place.y;
        let j = key + place.x;
        var own_value = vec4f();
        if (d < HEAD4 && j < tokens) { own_value = v[(j * KV_HEADS + kv_head) * HEAD4 + d]; }
        right[place.x * PITCH + place.y] = own_value;
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
    let d = chunk * CHUNK + c;
    for (var n = 0u; n < 4u; n++) {
      let i = first + r + 8u * n;
      if (d < HEAD4 && i < tokens) { y[(i * HEADS + head) * HEAD4 + d] = shrink[r + 8u * n] * sums[chunk][n]; }
    }
  }
}
