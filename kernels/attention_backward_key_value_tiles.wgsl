// attention_backward_key_value_tiles: attention_backward_key_value for GPUs, 32 keys of one kv head to a workgroup
//
//   Bindings and results are those of attention_backward_key_value. Tiles of 32 queries run from the keys' own to the last
//   that sees one of them, heads of the group inside. Per tile: scores from chunks of k and q, dp from chunks of v and dy;
//   then p weights chunks of dy into dv, and ds chunks of q into dk. The order is fixed: equal inputs give equal bits.
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
@group(0) @binding(3) var<storage, read> seen: array<vec2u>;
@group(0) @binding(4) var<storage, read> dy: array<vec4f>;
@group(0) @binding(5) var<storage, read> stats: array<vec2f>;
@group(0) @binding(6) var<storage, read_write> dk: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> dv: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
  @if(ROLLED) let zero = workgroups.z - 1u;
  @else const zero = 0u;
  let tokens = arrayLength(&seen);
  let tiles = (tokens + TILE - 1u) / TILE;
  let number = workgroup_index(workgroup, workgroups);
  if (number >= tiles * KV_HEADS) { return; }
  let kv_head = number / tiles;
  let first = (number % tiles) * TILE;
  let group = HEADS / KV_HEADS;
  let r = lane / 8u;
  let c = lane % 8u;
  let key = first + lane % TILE;
  let key_end = seen[min(key, tokens - 1u)].x;

  var key_sums: array<mat4x4f, CHUNKS>;
  var value_sums: array<mat4x4f, CHUNKS>;
  for (var query = first; query < tokens; query += TILE) {
    // Keys past the end are seen by nobody; nothing is stored for them.
    if (!any_row(lane, key < tokens && key_end > query)) { continue; }
    for (var head = kv_head * group; head < (kv_head + 1u) * group; head++) {
      var score = mat4x4f();
      var dp = mat4x4f();
      for (var chunk = zero; chunk < CHUNKS; chunk++) {
        for (var side = zero; side < 2u; side++) {
          workgroupBarrier();
          for (var part = zero; part < 4u; part++) {
            let place = brought(lane, part);
            let d = chunk * CHUNK + place.y;
            let inside = d < HEAD4;
            let i = query + place.x;
            let j = first + place.x;
            var of_key = vec4f();
            var of_query = vec4f();
            if (inside && j < tokens) {
              let at = (j * KV_HEADS + kv_head) * HEAD4 + d;
              if (side == 0u) { of_key = SCALE * k[at]; } else { of_key = v[at]; }
            }
            if (inside && i < tokens) {
              let at = (i * HEADS + head) * HEAD4 + d;
              if (side == 0u) { of_query = q[at]; } else { of_query = dy[at]; }
            }
            left[place.x * PITCH + place.y] = of_key;
            right[place.x * PITCH + place.y] = of_query;
          }
          workgroupBarrier();
          let more = products(lane, zero);
          if (side == 0u) { score += more; } else { dp += more; }
        }
      }
      let queries = query + c + vec4u(0u, 8u, 16u, 24u);
      let last = vec4u(tokens - 1u);
      let at = min(queries, last) * HEADS + head;
      let own = array<vec2f, 4>(stats[at.x], stats[at.y], stats[at.z], stats[at.w]);
      let lse = vec4f(own[0].x, own[1].x, own[2].x, own[3].x);
      let delta = vec4f(own[0].y, own[1].y, own[2].y, own[3].y);
      for (var n = 0u; n < 4u; n++) {
        let j = min(first + r + 8u * n, tokens - 1u);
        let reach = seen[j];
        var sees = (queries >= vec4u(j)) & (queries < vec4u(reach.x));
        @if(WINDOWED) {
          let i = min(queries, last);
          let positions = vec4u(seen[i.x].y, seen[i.y].y, seen[i.z].y, seen[i.w].y);
          sees = sees & (positions - vec4u(reach.y) < vec4u(WINDOW));
        }
        let value = capped4(score[n]);
        let p = select(vec4f(), exp(value - lse), sees);
        score[n] = p;
        dp[n] = select(vec4f(), p * (dp[n] - delta) * capped_slope4(value), sees);
      }
      for (var side = zero; side < 2u; side++) {
        if (side == 0u) { put_scores(lane, score); } else { put_scores(lane, dp); }
        for (var chunk = zero; chunk < CHUNKS; chunk++) {
          // Also: all scores have been put.
          workgroupBarrier();
          for (var part = zero; part < 4u; part++) {
            let place = brought(lane, part);
            let d = chunk * CHUNK + place.y;
            let i = query + place.x;
            var of_query = vec4f();
            if (d < HEAD4 && i < tokens) {
              let at = (i * HEADS + head) * HEAD4 + d;
              if (side == 0u) { of_query = dy[at]; } else { of_query = q[at]; }
            }
            right[place.x * PITCH + place.y] = of_query;
          }
          workgroupBarrier();
          let more = weighted(lane, zero);
          if (side == 0u) { value_sums[chunk] += more; } else { key_sums[chunk] += more; }
          // Nobody reads the chunk, or the scores, any more.
          workgroupBarrier();
        }
      }
    }
  }
  for (var chunk = zero; chunk < CHUNKS; chunk++) {
    let d = chunk * CHUNK + c;
    for (var n = 0u; n < 4u; n++) {
      let j = first + r + 8u * n;
      if (d < HEAD4 && j < tokens) {
        dk[(j * KV_HEADS + kv_head) * HEAD4 + d] = SCALE * key_sums[chunk][n];
        dv[(j * KV_HEADS + kv_head) * HEAD4 + d] = value_sums[chunk][n];
      }
    }
  }
}
