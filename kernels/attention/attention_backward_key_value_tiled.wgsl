// attention_backward_key_value_tiled: attention_backward_key_value for GPUs, 32 keys of one kv head to a workgroup
//
//   Bindings and results are those of attention_backward_key_value. Tiles of 32 queries run from the keys' own to the last
//   that sees one of them, heads of the group inside. Per tile: scores from chunks of k and q, dp from chunks of v and dy;
//   then p weights chunks of dy into dv, and ds chunks of q into dk. The order is fixed: equal inputs give equal bits.
//   Queries carry SCALE, and so does dk, which they make.
import package::attention::attention_tile::CHUNK;
import package::attention::attention_tile::CHUNKS;
import package::attention::attention_tile::HEADS;
import package::attention::attention_tile::KV_HEADS;
import package::attention::attention_tile::TILE;
import package::attention::attention_tile::any_row;
import package::attention::attention_tile::brought;
import package::attention::attention_tile::gradient_at;
import package::attention::attention_tile::has_element;
import package::attention::attention_tile::key_at;
import package::attention::attention_tile::key_place;
import package::attention::attention_tile::products;
import package::attention::attention_tile::put_left;
import package::attention::attention_tile::put_right;
import package::attention::attention_tile::put_scores;
import package::attention::attention_tile::query_at;
import package::attention::attention_tile::token_count;
import package::attention::attention_tile::value_at;
import package::attention::attention_tile::weighted;
import package::shared::grid::workgroup_index;
import package::shared::softcap::capped4;
import package::shared::softcap::capped_slope4;
import constants::WORKGROUP;

@if(WINDOWED) override WINDOW: u32;

@group(0) @binding(3) var<storage, read> seen: array<vec2u>;
@group(0) @binding(5) var<storage, read> stats: array<vec2f>;
@group(0) @binding(6) var<storage, read_write> dk: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> dv: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
  @if(ROLLED) let zero = workgroups.z - 1u;
  @else const zero = 0u;
  let tokens = token_count();
  let tiles = (tokens + TILE - 1u) / TILE;
  let number = workgroup_index(workgroup, workgroups);
  if (number >= tiles * KV_HEADS) { return; }
  let kv_head = number / tiles;
  let first = (number % tiles) * TILE;
  let group = HEADS / KV_HEADS;
  let r = lane / 8u;
  let c = lane % 8u;
  let last = tokens - 1u;
  let own_key = first + lane % TILE;
  // Keys past the end are seen by nobody; nothing is stored for them.
  let own_end = select(0u, seen[min(own_key, last)].x, own_key < tokens);
  @if(WINDOWED) var farthest = 0u;
  @if(WINDOWED) { for (var n = zero; n < TILE; n++) { farthest = max(farthest, seen[min(first + n, last)].y + WINDOW); } }

  var key_sums: array<mat4x4f, CHUNKS>;
  var value_sums: array<mat4x4f, CHUNKS>;
  for (var query = first; query < tokens; query += TILE) {
    // A key is seen by tokens in a row: where none of the keys is seen, none is seen later.
    if (!any_row(lane, own_end > query)) { break; }
    @if(WINDOWED) { if (!any_row(lane, seen[min(query + lane % TILE, last)].y < farthest)) { continue; } }
    for (var head = kv_head * group; head < (kv_head + 1u) * group; head++) {
      var score = mat4x4f();
      var dp = mat4x4f();
      for (var chunk = zero; chunk < CHUNKS; chunk++) {
        for (var side = zero; side < 2u; side++) {
          workgroupBarrier();
          for (var part = zero; part < 4u; part++) {
            let place = brought(lane, part);
            let d = chunk * CHUNK + place.y;
            let i = query + place.x;
            let j = first + place.x;
            if (side == 0u) {
              put_left(place, key_at(j, kv_head, d));
              put_right(place, query_at(i, head, d));
            } else {
              put_left(place, value_at(j, kv_head, d));
              put_right(place, gradient_at(i, head, d));
            }
          }
          workgroupBarrier();
          let more = products(lane, zero);
          if (side == 0u) { score += more; } else { dp += more; }
        }
      }
      let queries = query + c + vec4u(0u, 8u, 16u, 24u);
      let i = min(queries, vec4u(last));
      let at = i * HEADS + head;
      let lse = vec4f(stats[at.x].x, stats[at.y].x, stats[at.z].x, stats[at.w].x);
      let delta = vec4f(stats[at.x].y, stats[at.y].y, stats[at.z].y, stats[at.w].y);
      for (var n = 0u; n < 4u; n++) {
        let j = min(first + r + 8u * n, last);
        let reach = seen[j];
        var sees = (queries >= vec4u(j)) & (queries < vec4u(reach.x));
        @if(WINDOWED) sees = sees & (vec4u(seen[i.x].y, seen[i.y].y, seen[i.z].y, seen[i.w].y) - vec4u(reach.y) < vec4u(WINDOW));
        let value = capped4(score[n]);
        let p = select(vec4f(), exp(value - lse), sees);
        score[n] = p;
        dp[n] = select(vec4f(), p * (dp[n] - delta) * capped_slope4(value), sees);
      }
      for (var side = zero; side < 2u; side++) {
        // Nobody reads the chunk of products() any more.
        workgroupBarrier();
        if (side == 0u) { put_scores(lane, score); } else { put_scores(lane, dp); }
        for (var chunk = zero; chunk < CHUNKS; chunk++) {
          for (var part = zero; part < 4u; part++) {
            let place = brought(lane, part);
            let d = chunk * CHUNK + place.y;
            if (side == 0u) { put_right(place, gradient_at(query + place.x, head, d)); }
            else { put_right(place, query_at(query + place.x, head, d)); }
          }
          workgroupBarrier();
          let more = weighted(lane, zero);
          if (side == 0u) { value_sums[chunk] += more; } else { key_sums[chunk] += more; }
          // Nobody reads the chunk, or the scores, any more.
          workgroupBarrier();
        }
      }
    }
  }
  for (var chunk = zero; chunk < CHUNKS; chunk++) {
    let d = chunk * CHUNK + c;
    for (var n = 0u; n < 4u; n++) {
      let j = first + r + 8u * n;
      if (has_element(j, d)) {
        let at = key_place(j, kv_head, d);
        dk[at] = key_sums[chunk][n];
        dv[at] = value_sums[chunk][n];
      }
    }
  }
}
