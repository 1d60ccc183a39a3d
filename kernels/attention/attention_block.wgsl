// What the subgroup kernels of attention share: a workgroup to each block of tokens of one head, for CPU adapters
//
//   blocks: [BLOCKS] vec2u (first token, count), each of at most 8 tokens of one prompt or one answer, so that all of them walk the
//   same tokens of the other side, 8 at a time. Each invocation of a subgroup loads one of the 8 and hands it on by broadcast:
//   it is loaded once per subgroup. No shared memory, no barriers; a fixed order, so that equal inputs give equal bits.
//   Kernels that import this file `enable subgroups` of at least 8.
import package::shared::grid::workgroup_index;

@group(0) @binding(8) var<storage, read> blocks: array<vec2u>;

/// Tokens start .. end and a head; none where start is end.
struct Block { start: u32, end: u32, head: u32 }

fn block_of(workgroup: vec3u, workgroups: vec3u) -> Block {
  let number = workgroup_index(workgroup, workgroups);
  let tokens = blocks[number % arrayLength(&blocks)];
  return Block(tokens.x, tokens.x + tokens.y, number / arrayLength(&blocks));
}

/// Of the 8 tokens from `first` on, the one that this invocation loads.
fn own_of_eight(first: u32, subgroup_index: u32, tokens: u32) -> u32 {
  return min(first + subgroup_index % 8u, tokens - 1u);
}

/// Tokens first .. first + 4; the other half of the 8 are 4 further.
fn four_from(first: u32) -> vec4u { return vec4u(first) + vec4u(0u, 1u, 2u, 3u); }
