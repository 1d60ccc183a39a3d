// attention_backward_query_tiles: attention_backward_query for GPUs, 32 queries of one head to a workgroup, 32 keys at a time
//
//   Bindings and results are those of attention_backward_query. Per tile: scores from chunks of q and k, dp from chunks of dy
//   and v, then the chunks of k that ds weights. The order is fixed: equal inputs give equal bits.
import package::attention_tiles::CHUNK;
import package::attention_tiles::CHUNKS;
import package::attention_tiles::PITCH;
import package::attention_tiles::TILE;
import package::attention_tiles::any_row;
import package::attention_tiles::brought;
import package::attention_tiles::left;
import package::attention_tiles::products;
import package::attention_tiles::put_scores;
import package::attention_tiles::right;
import package::attention_tiles::weighted;
import package::grid::workgroup_index;
import package::sight::sees_some;
import package::sight::visible;
import package::softcap::capped4;
import package::softcap::capped_slope4;
import constants::HEAD4;
import constants::WORKGROUP;

override HEADS: u32;
override KV_HEADS: u32;
override SCALE: f32;
@if(WINDOWED) override WINDOW: u32;

@group(0) @binding(0) var<storage, read> q: array<vec4f>;
@group(0) @binding(1) var<storage, read> k: array<vec4f>;
@group(0) @binding(2) var<storage, read> v: array<vec4f>;
@group(0) @binding(3) var<storage, read> sight: array<vec4u>;
@group(0) @binding(4) var<storage, read> dy: array<vec4f>;
@group(0) @binding(5) var<storage, read> stats: array<vec2f>;
@group(0) @binding(6) var<storage, read_write> dq: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
  @if(ROLLED) let zero = workgroups.z - 1u;
  @else const zero = 0u;
  let tokens = arrayLength(&sight);
  let tiles = (tokens + TILE - 1u) / TILE;
  let number = workgroup_index(workgroup, workgroups);
  if (number >= tiles * HEADS) { return; }
  let head = number / tiles;
  let first = (number % tiles) * TILE;
  let kv_head = head / (HEADS / KV_HEADS);
  let r = lane / 8u;
  let c = lane % 8u;
  let query = first + lane % TILE;
  let query_sees = sight[min(query, tokens - 1u)];

  var sums: array<mat4x4f, CHUNKS>;
  for (var key = (sight[first].x / TILE) * TILE; key < min(first + TILE, tokens); key += TILE) {
    if (!any_row(lane, query < tokens && sees_some(key, TILE, query, query_sees))) { continue; }
    var score = mat4x4f();
    var dp = mat4x4f();
    for (var chunk = zero; chunk < CHUNKS; chunk++) {
      for (var side = zero; side < 2u; side++) {
        workgroupBarrier();
        for (var part = zero; part < 4u; part++) {
          let place = brought(lane, part);
          let d = chunk * CHUNK + place.y;
          let inside = d < HEAD4;
          let i = first + place.x;
          let j = key + place.x;
          var of_query = vec4f();
          var of_key = vec4f();
          if (inside && i < tokens) {
            let at = (i * HEADS + head) * HEAD4 + d;
            if (side == 0u) { of_query = SCALE * q[at]; } else { of_query = dy[at]; }
          }
          if (inside && j < tokens) {
            let at = (j * KV_HEADS + kv_head) * HEAD4 + d;
            if (side == 0u) { of_key = k[at]; } else { of_key = v[at]; }
          }
          left[place.x * PITCH + place.y] = of_query;
          right[place.x * PITCH + place.y] = of_key;
        }
        workgroupBarrier();
        let more = products(lane, zero);
          if (side == 0u) { score += more; } else { dp += more; }
      }
    }
    let keys = key + c + vec4u(0u, 8u, 16u, 24u);
    for (var n = 0u; n < 4u; n++) {
      let i = min(first + r + 8u * n, tokens - 1u);
      let sees = sight[i];
      var seen = visible(keys, tokens, i, sees);
      @if(WINDOWED) {
        let last = tokens - 1u;
        let positions = vec4u(sight[min(keys.x, last)].w, sight[min(keys.y, last)].w, sight[min(keys.z, last)].w, sight[min(keys.w, last)].w);
        seen = seen & (vec4u(sees.w) - positions < vec4u(WINDOW));
      }
      let own = stats[i * HEADS + head];
      let value = capped4(score[n]);
      score[n] = select(vec4f(), exp(value - own.x) * (dp[n] - own.y) * capped_slope4(value), seen);
    }
    put_scores(lane, score);
    for (var chunk = zero; chunk < CHUNKS; chunk++) {
      // Also: all scores have been put, and nobody reads the chunk before any more.
      workgroupBarrier();
      for (var part = zero; part < 4u; part++) {
        let place = brought(lane, part);
        let d = chunk * CHUNK + place.y;
        let j = key + place.x;
        var own_key = vec4f();
        if (d < HEAD4 && j < tokens) { own_key = k[(j * KV_HEADS + kv_head) * HEAD4 + d]; }
        right[place.x * PITCH + place.y] = own_key;
      }
      workgroupBarrier();
      sums[chunk] += weighted(lane, zero);
    }
  }
  for (var chunk = zero; chunk < CHUNKS; chunk++) {
    let d = chunk * CHUNK + c;
    for (var n = 0u; n < 4u; n++) {
      let i = first + r + 8u * n;
      if (d < HEAD4 && i < tokens) {
        let at = (i * HEADS + head) * HEAD4 + d;
        @if(ACCUMULATE) dq[at] += SCALE * sums[chunk][n];
        @else dq[at] = SCALE * sums[chunk][n];
      }
    }
  }
}
