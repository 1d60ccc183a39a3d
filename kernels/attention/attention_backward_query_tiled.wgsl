// attention_backward_query_tiled: attention_backward_query for GPUs, 32 queries of one head to a workgroup, 32 keys at a time
//
//   Bindings and results are those of attention_backward_query. Per tile: scores from chunks of q and k, dp from chunks of dy
//   and v, then the chunks of k that ds weights. The order is fixed: equal inputs give equal bits.
import package::attention::attention_gradient_operands::stats;
import package::attention::attention_gradient_tile::Tile;
import package::attention::attention_gradient_tile::tile_products;
import package::attention::attention_operands::HEADS;
import package::attention::attention_operands::SCALE;
import package::attention::attention_operands::group_size;
import package::attention::attention_operands::query_start;
import package::attention::attention_operands::token_count;
import package::attention::attention_tile::CHUNK;
import package::attention::attention_tile::CHUNKS;
import package::attention::attention_tile::TILE;
import package::attention::attention_tile::any_row;
import package::attention::attention_tile::brought;
import package::attention::attention_tile::has_element;
import package::attention::attention_tile::key_at;
import package::attention::attention_tile::own_columns;
import package::attention::attention_tile::own_rows;
import package::attention::attention_tile::put_right;
import package::attention::attention_tile::put_scores;
import package::attention::attention_tile::weighted;
import package::attention::visible_keys::next_keys;
import package::attention::visible_keys::sees_any;
import package::attention::visible_keys::sees_keys;
import package::attention::visible_keys::walk_tiles;
import package::shared::softcap::capped4;
import package::shared::softcap::capped_slope4;
import constants::WORKGROUP;

@group(0) @binding(6) var<storage, read_write> dq: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) local_index: u32) {
  @if(ROLLED) let zero = workgroups.z - 1u;
  @else const zero = 0u;
  let tokens = token_count();
  let own = own_rows(workgroup, workgroups);
  if (own.head >= HEADS) { return; }
  let kv_head = own.head / group_size();
  let r = local_index / 8u;

  var sums: array<mat4x4f, CHUNKS>;
  for (var walk = walk_tiles(own.first, min(own.first + TILE, tokens), TILE); walk.key < walk.limit; walk = next_keys(walk, TILE)) {
    if (!any_row(local_index, sees_any(own.first + local_index % TILE, walk.key, TILE))) { continue; }
    let made = tile_products(Tile(own.first, own.head, walk.key, kv_head), false, local_index, zero);
    var score = made.score;
    for (var n = 0u; n < 4u; n++) {
      let i = own.first + r + 8u * n;
      let stat = stats[min(i, tokens - 1u) * HEADS + own.head];
      let value = capped4(score[n]);
      let ds = exp(value - stat.x) * (made.dp[n] - stat.y) * capped_slope4(value);
      score[n] = select(vec4f(), ds, sees_keys(i, own_columns(walk.key, local_index)));
    }
    put_scores(local_index, score);
    for (var chunk = zero; chunk < CHUNKS; chunk++) {
      // All scores have been put, and nobody reads the chunk before any more.
      workgroupBarrier();
      for (var part = zero; part < 4u; part++) {
        let place = brought(local_index, part);
        put_right(place, key_at(walk.key + place.x, kv_head, chunk * CHUNK + place.y));
      }
      workgroupBarrier();
      sums[chunk] += weighted(local_index, zero);
    }
  }
  for (var chunk = zero; chunk < CHUNKS; chunk++) {
    let d = chunk * CHUNK + local_index % 8u;
    for (var n = 0u; n < 4u; n++) {
      let i = own.first + r + 8u * n;
      if (has_element(i, d)) {
        let at = query_start(i, own.head) + d;
        @if(ACCUMULATE) dq[at] += SCALE * sums[chunk][n];
        @else dq[at] = SCALE * sums[chunk][n];
      }
    }
  }
}
