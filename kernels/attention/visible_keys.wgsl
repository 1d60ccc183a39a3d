// Which keys a query sees on a packed token axis, and the walk over them, by all forms of attention
//
//   token i sees j <= i when j >= branch_start[i], or doc_start[i] <= j < prefix_end[i];
//   WINDOWED: and position[i] - position[j] < WINDOW.
//   visibility: [T] vec4u (doc_start, prefix_end, branch_start, position); `sees` is that of a query
//
// Documents lie one after the other, and so do a prompt and its answers. The branch of a prompt's token is the prompt.

@if(WINDOWED) override WINDOW: u32;

@group(0) @binding(3) var<storage, read> visibility: array<vec4u>;

/// A walk over the keys that neighbouring queries of one document see: first those of the prompt, then those of the own branch,
/// each from its start. `key` is where it stands and `limit` where the stretch ends; it is over when they meet in `end`, one past
/// the last of the queries.
struct Walk { key: u32, limit: u32, branch_start: u32, end: u32 }

/// The walk of queries that see alike and lie before `end`. To a prompt's tokens, prompt and branch are one stretch.
fn walk_keys(sees: vec4u, end: u32) -> Walk {
  let limit = select(sees.y, end, sees.z == sees.x);
  if (sees.x < limit) { return Walk(sees.x, limit, sees.z, end); }
  return Walk(sees.z, end, sees.z, end);
}

/// The walk `count` keys further on.
fn next_keys(walk: Walk, count: u32) -> Walk {
  let key = walk.key + count;
  if (key < walk.limit || walk.limit == walk.end) { return Walk(key, walk.limit, walk.branch_start, walk.end); }
  return Walk(walk.branch_start, walk.end, walk.branch_start, walk.end);
}

/// The walk over whole tiles of `width` keys for queries first .. end of any documents: what others than the first see begins in its
/// prompt, or in its branch and behind.
fn walk_tiles(first: u32, end: u32, width: u32) -> Walk {
  let sees = visibility[first];
  let branch_start = sees.z / width * width;
  let prefix_end = min((sees.y + width - 1u) / width * width, branch_start);
  return walk_keys(vec4u(sees.x / width * width, prefix_end, branch_start, sees.w), end);
}

/// Whether key j, which lies before the query in its prompt or branch, is in its window.
fn in_window(sees: vec4u, j: u32) -> bool {
  @if(WINDOWED) return sees.w - visibility[j].w < WINDOW;
  @else return true;
}

/// Which of four keys before `limit` query i sees, windows aside.
fn visible(keys: vec4u, limit: u32, i: u32, sees: vec4u) -> vec4<bool> {
  return (keys < vec4u(limit)) & (keys <= vec4u(i)) & ((keys >= vec4u(sees.z)) | ((keys >= vec4u(sees.x)) & (keys < vec4u(sees.y))));
}

/// Which of four keys a query sees. A query past the end counts as the last one: nothing is stored for it.
fn sees_keys(query: u32, keys: vec4u) -> vec4<bool> {
  let last = arrayLength(&visibility) - 1u;
  let i = min(query, last);
  let sees = visibility[i];
  let seen = visible(keys, last + 1u, i, sees);
  @if(WINDOWED) {
    let j = min(keys, vec4u(last));
    let positions = vec4u(visibility[j.x].w, visibility[j.y].w, visibility[j.z].w, visibility[j.w].w);
    return seen & (vec4u(sees.w) - positions < vec4u(WINDOW));
  }
  @else return seen;
}

/// Whether a query sees any of the keys first .. first + count. Queries past the end see none.
fn sees_any(i: u32, first: u32, count: u32) -> bool {
  if (i >= arrayLength(&visibility)) { return false; }
  let sees = visibility[i];
  let last = first + count - 1u;
  let in_branch = first <= i && last >= sees.z;
  let in_prompt = first < min(sees.y, i + 1u) && last >= sees.x;
  if (!in_branch && !in_prompt) { return false; }
  // The last of them that it sees is the nearest by position.
  return in_window(sees, select(min(min(sees.y, i + 1u) - 1u, last), min(i, last), in_branch));
}
