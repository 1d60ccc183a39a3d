// attention_backward_key_value: dk[j] = SCALE sum_i,h ds_ij q[i, h],   dv[j] = sum_i,h p_ij dy[i, h]
//
//   p_ij and ds_ij as in attention_backward_query. The sum runs over the tokens i that see j, which lie in a row from j to
//   seen_end[j], and over the heads h of j's group, in that order: equal inputs give equal bits.
//   q, dy: [T, HEADS * 4 * HEAD4] f32    k, v: [T, KV_HEADS * 4 * HEAD4] f32, as dk and dv, which are overwritten
//   stats: [T, HEADS] vec2f (lse, delta)    seen: [T] vec2u (seen_end, position)
//
// One invocation per (key token, kv head), neighbouring lanes on neighbouring tokens; no barriers, no atomics.
// ROLLED: loops over a head stay loops, since they begin at a 0 that no compiler can know (see attention.ts).
import package::shared::grid::invocation_index;
import package::shared::softcap::capped;
import package::shared::softcap::capped_slope;
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
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let invocation = invocation_index(id, workgroups, WORKGROUP);
  let tokens = arrayLength(&seen);
  if (invocation >= tokens * KV_HEADS) { return; }
  @if(ROLLED) let first = workgroups.z - 1u;
  @else const first = 0u;
  let j = invocation % tokens;
  let kv_head = invocation / tokens;
  let group = HEADS / KV_HEADS;
  let place = (j * KV_HEADS + kv_head) * HEAD4;

  var key: array<vec4f, HEAD4>;
  var value: array<vec4f, HEAD4>;
  var key_sum: array<vec4f, HEAD4>;
  var value_sum: array<vec4f, HEAD4>;
  for (var d = first; d < HEAD4; d++) {
    key[d] = SCALE * k[place + d];
    value[d] = v[place + d];
  }
  for (var i = j; i < seen[j].x; i++) {
    @if(WINDOWED) { if (seen[i].y - seen[j].y >= WINDOW) { continue; } }
    for (var head = kv_head * group; head < (kv_head + 1u) * group; head++) {
      let row = (i * HEADS + head) * HEAD4;
      var score = 0.0;
      var dp = 0.0;
      for (var d = first; d < HEAD4; d++) {
        score += dot(q[row + d], key[d]);
        dp += dot(dy[row + d], value[d]);
      }
      score = capped(score);
      let own = stats[i * HEADS + head];
      let p = exp(score - own.x);
      let ds = p * (dp - own.y) * capped_slope(score);
      for (var d = first; d < HEAD4; d++) {
        key_sum[d] += ds * q[row + d];
        value_sum[d] += p * dy[row + d];
      }
    }
  }
  for (var d = first; d < HEAD4; d++) {
    dk[place + d] = SCALE * key_sum[d];
    dv[place + d] = value_sum[d];
  }
}
