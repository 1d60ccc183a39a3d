// What the tiled gradients of attention share: per tile, both products that their scores are made of (attention_tile.wgsl)
import package::attention::attention_gradient_operands::dy;
import package::attention::attention_operands::query_start;
import package::attention::attention_tile::CHUNK;
import package::attention::attention_tile::CHUNKS;
import package::attention::attention_tile::brought;
import package::attention::attention_tile::has_element;
import package::attention::attention_tile::key_at;
import package::attention::attention_tile::products;
import package::attention::attention_tile::put_left;
import package::attention::attention_tile::put_right;
import package::attention::attention_tile::query_at;
import package::attention::attention_tile::value_at;

fn gradient_at(token: u32, head: u32, d: u32) -> vec4f {
  if (!has_element(token, d)) { return vec4f(); }
  return dy[query_start(token, head) + d];
}

/// The first tokens of a tile's two sides, and their heads.
struct Tile { query: u32, head: u32, key: u32, kv_head: u32 }

/// An invocation's part of q kᵀ, whose queries carry SCALE, and of dy vᵀ.
struct Products { score: mat4x4f, dp: mat4x4f }

/// Rows are queries and columns keys, or with `keys_first` the other way round.
fn tile_products(tile: Tile, keys_first: bool, local_index: u32, zero: u32) -> Products {
  var result = Products();
  for (var chunk = zero; chunk < CHUNKS; chunk++) {
    for (var side = zero; side < 2u; side++) {
      workgroupBarrier();
      for (var part = zero; part < 4u; part++) {
        let place = brought(local_index, part);
        let d = chunk * CHUNK + place.y;
        let i = tile.query + place.x;
        let j = tile.key + place.x;
        var of_query: vec4f;
        var of_key: vec4f;
        if (side == 0u) {
          of_query = query_at(i, tile.head, d);
          of_key = key_at(j, tile.kv_head, d);
        } else {
          of_query = gradient_at(i, tile.head, d);
          of_key = value_at(j, tile.kv_head, d);
        }
        put_left(place, select(of_query, of_key, keys_first));
        put_right(place, select(of_key, of_query, keys_first));
      }
      workgroupBarrier();
      let more = products(local_index, zero);
      if (side == 0u) { result.score += more; } else { result.dp += more; }
    }
  }
  return result;
}
