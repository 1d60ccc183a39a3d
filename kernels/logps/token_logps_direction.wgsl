// token_logps_direction: d logp[r] / d h[r] = slope_y W[y_r] - E_p[slope W], for rows whose target lies in this shard
//
//   direction: [ROWS, 4 * H4] f32, holds sum_v exp(z_v - m) slope_v W_v and is overwritten
//   state: [ROWS, STRIDE] vec4f, m the first number of each    lse, logps: [ROWS] f32
//   the mean is the sum times exp(m - lse), and z_y = logp + lse
//   targets: [ROWS] u32    head: a shard of W from FIRST_ROW on, f32, or f16/bf16 packed in pairs
//
// One invocation per vec4; limited by bandwidth.
import package::shared::grid::invocation_index;
import package::shared::half::widen_bf16;
import package::shared::half::widen_f16;
import package::shared::softcap::capped_slope;
import constants::WORKGROUP;

override H4: u32;
override STRIDE: u32;
override FIRST_ROW: u32;

@group(0) @binding(0) var<storage, read_write> direction: array<vec4f>;
@group(0) @binding(1) var<storage, read> state: array<vec4f>;
@group(0) @binding(2) var<storage, read> lse: array<f32>;
@group(0) @binding(3) var<storage, read> logps: array<f32>;
@group(0) @binding(4) var<storage, read> targets: array<u32>;
@if(W_HALF) @group(0) @binding(5) var<storage, read> head: array<vec2u>;
@else @group(0) @binding(5) var<storage, read> head: array<vec4f>;

fn load(i: u32) -> vec4f {
  @if(W_BF16) return vec4f(widen_bf16(head[i].x), widen_bf16(head[i].y));
  @if(W_HALF && !W_BF16) return vec4f(widen_f16(head[i].x), widen_f16(head[i].y));
  @if(!W_HALF) return head[i];
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= arrayLength(&direction)) { return; }
  let row = i / H4;
  // A target before FIRST_ROW wraps around to a large number and falls out as well.
  let target_row = targets[row] - FIRST_ROW;
  if (target_row >= arrayLength(&head) / H4) { return; }
  let mean = exp(state[STRIDE * row].x - lse[row]) * direction[i];
  direction[i] = capped_slope(logps[row] + lse[row]) * load(target_row * H4 + i % H4) - mean;
}
