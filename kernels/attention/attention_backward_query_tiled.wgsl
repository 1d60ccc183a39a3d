// attention_backward_query_tiled: attention_backward_query for GPUs, 32 queries of one head to a workgroup, 32 keys at a time
//
//   Bindings and results are those of attention_backward_query. Per tile: scores from chunks of q and k, dp from chunks of dy
//   and v, then the chunks of k that ds weights. The order is fixed: equal inputs give equal bits.
import package::attention::attention_query_tile::first_key;
import package::attention::attention_query_tile::seen_keys;
import package::attention::attention_query_tile::sees_tile;
import package::attention::attention_tile::CHUNK;
import package::attention::attention_tile::CHUNKS;
import package::attention::attention_tile::HEADS;
import package::attention::attention_tile::KV_HEADS;
import package::attention::attention_tile::SCALE;
import package::attention::attention_tile::TILE;
import package::attention::attention_tile::any_row;
import package::attention::attention_tile::brought;
import package::attention::attention_tile::gradient_at;
import package::attention::attention_tile::has_element;
import package::attention::attention_tile::key_at;
import package::attention::attention_tile::products;
import package::attention::attention_tile::put_left;
import package::attention::attention_tile::put_right;
import package::attention::attention_tile::put_scores;
import package::attention::attention_tile::query_at;
import package::attention::attention_tile::query_place;
import package::attention::attention_tile::token_count;
import package::attention::attention_tile::value_at;
import package::attention::attention_tile::weighted;
import package::shared::grid::workgroup_index;
import package::shared::softcap::capped4;
import package::shared::softcap::capped_slope4;
import constants::WORKGROUP;

@group(0) @binding(5) var<storage, read> stats: array<vec2f>;
@group(0) @binding(6) var<storage, read_write> dq: array<vec4f>;

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

  var sums: array<mat4x4f, CHUNKS>;
  for (var key = first_key(first); key < min(first + TILE, tokens); key += TILE) {
    if (!any_row(lane, sees_tile(first + lane % TILE, key))) { continue; }
    var score = mat4x4f();
    var dp = mat4x4f();
    for (var chunk = zero; chunk < CHUNKS; chunk++) {
      for (var side = zero; side < 2u; side++) {
        workgroupBarrier();
        for (var part = zero; part < 4u; part++) {
          let place = brought(lane, part);
          let d = chunk * CHUNK + place.y;
          let i = first + place.x;
          let j = key + place.x;
          if (side == 0u) {
            put_left(place, query_at(i, head, d));
            put_right(place, key_at(j, kv_head, d));
          } else {
            put_left(place, gradient_at(i, head, d));
            put_right(place, value_at(j, kv_head, d));
          }
        }
        workgroupBarrier();
        let more = products(lane, zero);
        if (side == 0u) { score += more; } else { dp += more; }
      }
    }
    for (var n = 0u; n < 4u; n++) {
      let i = first + r + 8u * n;
      let own = stats[min(i, tokens - 1u) * HEADS + head];
      let value = capped4(score[n]);
      let ds = exp(value - own.x) * (dp[n] - own.y) * capped_slope4(value);
      score[n] = select(vec4f(), ds, seen_keys(i, key, lane));
    }
    put_scores(lane, score);
    for (var chunk = zero; chunk < CHUNKS; chunk++) {
      // All scores have been put, and nobody reads the chunk before any more.
      workgroupBarrier();
      for (var part = zero; part < 4u; part++) {
        let place = brought(lane, part);
        put_right(place, key_at(key + place.x, kv_head, chunk * CHUNK + place.y));
      }
      workgroupBarrier();
      sums[chunk] += weighted(lane, zero);
    }
  }
  for (var chunk = zero; chunk < CHUNKS; chunk++) {
    let d = chunk * CHUNK + lane % 8u;
    for (var n = 0u; n < 4u; n++) {
      let i = first + r + 8u * n;
      if (has_element(i, d)) {
        let at = query_place(i, head, d);
        @if(ACCUMULATE) dq[at] += SCALE * sums[chunk][n];
        @else dq[at] = SCALE * sums[chunk][n];
      }
    }
  }
}
