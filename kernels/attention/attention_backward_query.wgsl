// attention_backward_query: dq[i, h] (+)= SCALE sum_j ds_ij k[j],   ds_ij = p_ij (dy[i] . v[j] - delta[i]) * slope of the cap
//
//   p_ij = exp(s_ij - lse[i]); scores and visibility as in attention_forward.
//   q, dy, dq: [T, HEADS * 4 * HEAD4] f32    k, v: [T, KV_HEADS * 4 * HEAD4] f32    stats: [T, HEADS] vec2f (lse, delta)
//
// One invocation per (token, head), scores computed again; no barriers, no atomics.
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
@group(0) @binding(3) var<storage, read> visibility: array<vec4u>;
@group(0) @binding(4) var<storage, read> dy: array<vec4f>;
@group(0) @binding(5) var<storage, read> stats: array<vec2f>;
@group(0) @binding(6) var<storage, read_write> dq: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let invocation = invocation_index(id, workgroups, WORKGROUP);
  let tokens = arrayLength(&visibility);
  if (invocation >= tokens * HEADS) { return; }
  @if(ROLLED) let first = workgroups.z - 1u;
  @else const first = 0u;
  let i = invocation % tokens;
  let head = invocation / tokens;
  let kv_head = head / (HEADS / KV_HEADS);
  let sees = visibility[i];
  let row = (i * HEADS + head) * HEAD4;
  let own = stats[i * HEADS + head];

  var query: array<vec4f, HEAD4>;
  var gradient: array<vec4f, HEAD4>;
  var sum: array<vec4f, HEAD4>;
  for (var d = first; d < HEAD4; d++) {
    query[d] = SCALE * q[row + d];
    gradient[d] = dy[row + d];
  }

  let prefix_end = min(sees.y, i + 1u);
  var j = sees.x;
  loop {
    if (j == prefix_end) { j = max(j, sees.z); }
    if (j > i) { break; }
    @if(WINDOWED) let visible = sees.w - visibility[j].w < WINDOW;
    @if(!WINDOWED) let visible = true;
    if (visible) {
      let place = (j * KV_HEADS + kv_head) * HEAD4;
      var score = 0.0;
      var dp = 0.0;
      for (var d = first; d < HEAD4; d++) {
        score += dot(query[d], k[place + d]);
        dp += dot(gradient[d], v[place + d]);
      }
      score = capped(score);
      let ds = exp(score - own.x) * (dp - own.y) * capped_slope(score);
      for (var d = first; d < HEAD4; d++) { sum[d] += ds * k[place + d]; }
    }
    j++;
  }
  for (var d = first; d < HEAD4; d++) {
    @if(ACCUMULATE) dq[row + d] += SCALE * sum[d];
    @else dq[row + d] = SCALE * sum[d];
  }
}
