// attention_forward: packed, prompt-shared causal attention
//
//   y[i, h] = sum_j softmax_j(s_ij) v[j, h / GROUP],   s_ij = SCALE q[i, h] . k[j, h / GROUP]
//   token i sees j <= i when j >= branch_start[i], or doc_start[i] <= j < prefix_end[i];
//   WINDOWED: and position[i] - position[j] < WINDOW.   SOFTCAP: s becomes cap * tanh(s / cap).
//
//   q, y: [T, HEADS * 4 * HEAD4] f32    k, v: [T, KV_HEADS * 4 * HEAD4] f32    lse: [T, HEADS] f32, log sum_j exp s_ij
//   visibility: [T] vec4u (doc_start, prefix_end, branch_start, position). y and lse are overwritten.
//
// One invocation per (token, head), neighbouring lanes on neighbouring tokens of one head, so that they walk the same
// keys. Online softmax, no barriers; limited by load instructions.
// ROLLED: loops over a head stay loops, since they begin at a 0 that no compiler can know (see attention.ts).
import package::shared::grid::invocation_index;
import package::shared::softcap::capped;
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
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> lse: array<f32>;

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

  var query: array<vec4f, HEAD4>;
  var sum: array<vec4f, HEAD4>;
  for (var d = first; d < HEAD4; d++) { query[d] = SCALE * q[(i * HEADS + head) * HEAD4 + d]; }

  var largest = -3.4e38;
  var total = 0.0;
  // First the prompt, up to itself for a prompt token; then the own branch. A prompt token's branch is its prompt.
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
      for (var d = first; d < HEAD4; d++) { score += dot(query[d], k[place + d]); }
      score = capped(score);
      let larger = max(largest, score);
      let shrink = exp(largest - larger);
      let weight = exp(score - larger);
      total = total * shrink + weight;
      for (var d = first; d < HEAD4; d++) { sum[d] = sum[d] * shrink + weight * v[place + d]; }
      largest = larger;
    }
    j++;
  }
  for (var d = first; d < HEAD4; d++) { y[(i * HEADS + head) * HEAD4 + d] = sum[d] / total; }
  lse[i * HEADS + head] = largest + log(total);
}
