// Which keys of a tile a query sees (visible_keys.wgsl, attention_tile.wgsl)
import package::attention::attention_tile::own_columns;
import package::attention::visible_keys::visibility;
import package::attention::visible_keys::visible;

@if(WINDOWED) import package::attention::visible_keys::WINDOW;

/// Of an invocation's four keys of the tile that begins at `first`.
fn tile_visible(i: u32, first: u32, local_index: u32) -> vec4<bool> {
  let last = arrayLength(&visibility) - 1u;
  let query = min(i, last);
  let sees = visibility[query];
  let keys = own_columns(first, local_index);
  let seen = visible(keys, last + 1u, query, sees);
  @if(WINDOWED) {
    let j = min(keys, vec4u(last));
    let positions = vec4u(visibility[j.x].w, visibility[j.y].w, visibility[j.z].w, visibility[j.w].w);
    return seen & (vec4u(sees.w) - positions < vec4u(WINDOW));
  }
  @else return seen;
}
