// The tiles of queries of attention_forward_tiled and attention_forward_matrices
//
//   Tiles begin where a prompt or an answer does, and every `width` tokens from there; tiles of keys likewise (walk_keys). So a
//   token's sums have one order whatever it was packed with.
//   blocks: [BLOCKS] vec2u (first token, count), as in attention_block.wgsl; `width` is a multiple of their 8 tokens.
import package::attention::visible_keys::visibility;
import package::shared::grid::workgroup_index;

@group(0) @binding(8) var<storage, read> blocks: array<vec2u>;

/// Queries first .. end of one prompt or answer, and a head; none where first is end.
struct QueryTile { first: u32, end: u32, head: u32 }

/// The tile of at most `width` queries that begins with a workgroup's block of at most 8 tokens; most blocks lie within one that begins before them.
fn query_tile(workgroup: vec3u, workgroups: vec3u, width: u32) -> QueryTile {
  let number = workgroup_index(workgroup, workgroups);
  let count = arrayLength(&blocks);
  let own = number % count;
  let first = blocks[own].x;
  let branch_start = visibility[first].z;
  let begins = blocks[own].y > 0u && (first - branch_start) % width == 0u;
  var end = select(first, first + blocks[own].y, begins);
  for (var i = own + 1u; begins && i < count && end < first + width; i++) {
    if (blocks[i].x != end || visibility[end].z != branch_start) { break; }
    end += blocks[i].y;
  }
  return QueryTile(first, end, number / count);
}
