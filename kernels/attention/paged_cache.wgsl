// What the kernels of attention over a paged cache bind, and where they find a token: attention_paged.wgsl has the formulas.
override HEADS: u32;
override KV_HEADS: u32;
override SCALE: f32;
override BLOCK: u32;

@group(0) @binding(0) var<storage, read> q: array<vec4f>;
@group(0) @binding(1) var<storage, read> keys: array<vec4f>;
@group(0) @binding(2) var<storage, read> values: array<vec4f>;
@group(0) @binding(3) var<storage, read> places: array<vec4u>;
@group(0) @binding(4) var<storage, read> tables: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;
@if(SPLIT) @group(0) @binding(6) var<storage, read_write> stats: array<vec2f>;

/// The row of the cache where the key (and the value) of token j lies.
fn cache_row(row: u32, j: u32) -> u32 {
  let u = select(j, j + places[row].z, j >= places[row].y);
  let width = arrayLength(&tables) / arrayLength(&places);
  return tables[row * width + u / BLOCK] * BLOCK + u % BLOCK;
}
