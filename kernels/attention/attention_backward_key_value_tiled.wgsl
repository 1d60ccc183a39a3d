// attention_backward_key_value_tiled: attention_backward_key_value for GPUs, 32 keys of one kv head to a workgroup
//
//   Bindings and results are those of attention_backward_key_value. Tiles of 32 queries run from the keys' own to the last
//   that sees one of them, heads of the group inside. Per tile: scores from chunks of k and q, dp from chunks of v and dy;
//   then p weights chunks of dy into dv, and ds chunks of q into dk. The order is fixed: equal inputs give equal bits.
//   Queries carry SCALE, and so does dk, which they make.
import package::attention::attention_gradient_operands::stats;
import package::attention::attention_gradient_tile::Tile;
import package::attention::attention_gradient_tile::gradient_at;
import package::attention::attention_gradient_tile::tile_products;
import package::attention::attention_operands::HEADS;
import package::attention::attention_operands::KV_HEADS;
import package::attention::attention_operands::group_size;
import package::attention::attention_operands::key_start;
import package::attention::attention_operands::token_count;
import package::attention::attention_tile::CHUNK;
import package::attention::attention_tile::CHUNKS;
import package::attention::attention_tile::TILE;
import package::attention::attention_tile::any_row;
import package::attention::attention_tile::brought;
import package::attention::attention_tile::has_element;
import package::attention::attention_tile::own_columns;
import package::attention::attention_tile::own_rows;
import package::attention::attention_tile::put_right;
import package::attention::attention_tile::put_scores;
import package::attention::attention_tile::query_at;
import package::attention::attention_tile::weighted;
import package::attention::seeing_queries::seeing;
import package::attention::seeing_queries::seen;
import package::shared::softcap::capped4;
import package::shared::softcap::capped_slope4;
import constants::WORKGROUP;

@if(WINDOWED) import package::attention::seeing_queries::WINDOW;

@group(0) @binding(6) var<storage, read_write> dk: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> dv: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) local_index: u32) {
  @if(ROLLED) let zero = workgroups.z - 1u;
  @else const zero = 0u;
  let tokens = token_count();
  let own = own_rows(workgroup, workgroups);
  let kv_head = own.head;
  if (kv_head >= KV_HEADS) { return; }
  let first = own.first;
  let first_head = kv_head * group_size();
  let r = local_index / 8u;
  let last = tokens - 1u;
  let own_key = first + local_index % TILE;
  // Keys past the end are seen by nobody; nothing is stored for them.
  let own_end = select(0u, seen[min(own_key, last)].x, own_key < tokens);
  @if(WINDOWED) var farthest = 0u;
  @if(WINDOWED) { for (var n = zero; n < TILE; n++) { farthest = max(farthest, seen[min(first + n, last)].y + WINDOW); } }

  var key_sums: array<mat4x4f, CHUNKS>;
  var value_sums: array<mat4x4f, CHUNKS>;
  for (var query = first; query < tokens; query += TILE) {
    // A key is seen by tokens in a row: where none of the keys is seen, none is seen later.
    if (!any_row(local_index, own_end > query)) { break; }
    @if(WINDOWED) { if (!any_row(local_index, seen[min(query + local_index % TILE, last)].y < farthest)) { continue; } }
    for (var head = first_head; head < first_head + group_size(); head++) {
      let made = tile_products(Tile(query, head, first, kv_head), true, local_index, zero);
      var score = made.score;
      var dp = made.dp;
      let queries = own_columns(query, local_index);
      let i = min(queries, vec4u(last));
      let at = i * HEADS + head;
      let lse = vec4f(stats[at.x].x, stats[at.y].x, stats[at.z].x, stats[at.w].x);
      let delta = vec4f(stats[at.x].y, stats[at.y].y, stats[at.z].y, stats[at.w].y);
      for (var n = 0u; n < 4u; n++) {
        let j = min(first + r + 8u * n, last);
        let own = seen[j];
        var sees = seeing(queries, j, own);
        @if(WINDOWED) sees = sees & (vec4u(seen[i.x].y, seen[i.y].y, seen[i.z].y, seen[i.w].y) - vec4u(own.y) < vec4u(WINDOW));
        let value = capped4(score[n]);
        let p = select(vec4f(), exp(value - lse), sees);
        score[n] = p;
        dp[n] = select(vec4f(), p * (dp[n] - delta) * capped_slope4(value), sees);
      }
      for (var side = zero; side < 2u; side++) {
        // Nobody reads the chunk of products() any more.
        workgroupBarrier();
        if (side == 0u) { put_scores(local_index, score); } else { put_scores(local_index, dp); }
        for (var chunk = zero; chunk < CHUNKS; chunk++) {
          for (var part = zero; part < 4u; part++) {
            let place = brought(local_index, part);
            let d = chunk * CHUNK + place.y;
            if (side == 0u) { put_right(place, gradient_at(query + place.x, head, d)); }
            else { put_right(place, query_at(query + place.x, head, d)); }
          }
          workgroupBarrier();
          let more = weighted(local_index, zero);
          if (side == 0u) { value_sums[chunk] += more; } else { key_sums[chunk] += more; }
          // Nobody reads the chunk, or the scores, any more.
          workgroupBarrier();
        }
      }
    }
  }
  for (var chunk = zero; chunk < CHUNKS; chunk++) {
    let d = chunk * CHUNK + local_index % 8u;
    for (var n = 0u; n < 4u; n++) {
      let j = first + r + 8u * n;
      if (has_element(j, d)) {
        let at = key_start(j, kv_head) + d;
        dk[at] = key_sums[chunk][n];
        dv[at] = value_sums[chunk][n];
      }
    }
  }
}
