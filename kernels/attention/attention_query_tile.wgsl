// What the tiled kernels that walk the keys of 32 queries share: who sees whom, windows included.
//
//   visibility: [T] vec4u (doc_start, prefix_end, branch_start, position), as in attention_forward
import package::attention::attention_tile::TILE;
import package::attention::visibility::nearest_key;
import package::attention::visibility::sees_some;
import package::attention::visibility::visible;

@if(WINDOWED) override WINDOW: u32;

@group(0) @binding(3) var<storage, read> visibility: array<vec4u>;

/// The tile of keys in which those of a tile of queries begin: documents lie one after the other.
fn first_key(first_query: u32) -> u32 { return (visibility[first_query].x / TILE) * TILE; }

/// Whether a query sees any key of the tile that begins at `key`. Queries past the end see none.
fn sees_tile(query: u32, key: u32) -> bool {
  if (query >= arrayLength(&visibility)) { return false; }
  let sees = visibility[query];
  if (!sees_some(key, TILE, query, sees)) { return false; }
  @if(WINDOWED) return sees.w - visibility[nearest_key(key, TILE, query, sees)].w < WINDOW;
  @else return true;
}

/// Which of a lane's four keys c + 8 m of that tile a query sees.
fn seen_keys(query: u32, key: u32, lane: u32) -> vec4<bool> {
  return sees_keys(query, key + lane % 8u + vec4u(0u, 8u, 16u, 24u));
}

/// Which of four keys a query sees.
fn sees_keys(query: u32, keys: vec4u) -> vec4<bool> {
  let last = arrayLength(&visibility) - 1u;
  let i = min(query, last);
  let sees = visibility[i];
  var seen = visible(keys, last + 1u, i, sees);
  @if(WINDOWED) {
    let j = min(keys, vec4u(last));
    seen = seen & (vec4u(sees.w) - vec4u(visibility[j.x].w, visibility[j.y].w, visibility[j.z].w, visibility[j.w].w) < vec4u(WINDOW));
  }
  return seen;
}
