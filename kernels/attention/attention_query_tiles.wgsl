// What the tiled kernels that walk the keys of 32 queries share: who sees whom, windows included.
//
//   sight: [T] vec4u (doc_start, prefix_end, branch_start, position), as in attention_forward
import package::attention::attention_tiles::TILE;
import package::attention::sight::nearest_key;
import package::attention::sight::sees_some;
import package::attention::sight::visible;

@if(WINDOWED) override WINDOW: u32;

@group(0) @binding(3) var<storage, read> sight: array<vec4u>;

/// The tile of keys in which those of a tile of queries begin: documents lie one after the other.
fn first_key(first_query: u32) -> u32 { return (sight[first_query].x / TILE) * TILE; }

/// Whether a query sees any key of the tile that begins at `key`. Queries past the end see none.
fn sees_tile(query: u32, key: u32) -> bool {
  if (query >= arrayLength(&sight)) { return false; }
  let sees = sight[query];
  if (!sees_some(key, TILE, query, sees)) { return false; }
  @if(WINDOWED) return sees.w - sight[nearest_key(key, TILE, query, sees)].w < WINDOW;
  @else return true;
}

/// Which of a lane's four keys c + 8 m of that tile a query sees.
fn seen_keys(query: u32, key: u32, lane: u32) -> vec4<bool> {
  let last = arrayLength(&sight) - 1u;
  let i = min(query, last);
  let sees = sight[i];
  let keys = key + lane % 8u + vec4u(0u, 8u, 16u, 24u);
  var seen = visible(keys, last + 1u, i, sees);
  @if(WINDOWED) {
    let j = min(keys, vec4u(last));
    seen = seen & (vec4u(sees.w) - vec4u(sight[j.x].w, sight[j.y].w, sight[j.z].w, sight[j.w].w) < vec4u(WINDOW));
  }
  return seen;
}
