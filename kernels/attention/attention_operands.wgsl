// What every form of attention over a packed token axis reads: its operands and their sizes
//
//   q: [T, HEADS * 4 * HEAD4] f32    k, v: [T, KV_HEADS * 4 * HEAD4] f32    scores are SCALE q . k
import constants::HEAD4;

override HEADS: u32;
override KV_HEADS: u32;
override SCALE: f32;

@group(0) @binding(0) var<storage, read> q: array<vec4f>;
@group(0) @binding(1) var<storage, read> k: array<vec4f>;
@group(0) @binding(2) var<storage, read> v: array<vec4f>;

fn token_count() -> u32 { return arrayLength(&q) / (HEADS * HEAD4); }

/// Heads of queries share a head of keys and values in groups.
fn group_size() -> u32 { return HEADS / KV_HEADS; }

/// Where a head of a token begins in q, and in k and v.
fn query_start(token: u32, head: u32) -> u32 { return (token * HEADS + head) * HEAD4; }
fn key_start(token: u32, kv_head: u32) -> u32 { return (token * KV_HEADS + kv_head) * HEAD4; }
