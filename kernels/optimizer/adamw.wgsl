// adamw: one step of AdamW over a slab (Loshchilov & Hutter), equal to PyTorch's but for rounding
//
//   g = clip * gradient;   m = b1 m + (1 - b1) g;   v = b2 v + (1 - b2) g^2
//   w = w - lr * (decay * w + (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)), rounded once
//
//   w, m, v: f32, updated in place    gradient: f32    norm: of gradient_norm.wgsl; nothing is touched unless finite
//   settings: (lr, b1, b2, eps, decay, 1 - b1^t, 1 - b2^t, 1 - b1, 1 - b2); differences are taken in f64 on the host, since
//   1 - 0.999 in f32 is off by 5e-5 of itself
//   COPY: also writes the 16-bit copy that products use, two values to a u32 (COPY_BF16, else f16).
//
// EACH vec4s an invocation, a workgroup apart; limited by bandwidth.
import package::shared::grid::workgroup_index;
import package::shared::half::pack_bf16;
import constants::EACH;
import constants::WORKGROUP;

// 1, or 0 for slabs that weight decay leaves alone (norms).
override DECAYS: f32;

@group(0) @binding(0) var<storage, read_write> w: array<vec4f>;
@group(0) @binding(1) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read> norm: array<f32>;
@group(0) @binding(3) var<storage, read> settings: array<f32>;
@if(COPY) @group(0) @binding(4) var<storage, read_write> copy: array<vec2u>;
@group(0) @binding(5) var<storage, read_write> m: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> v: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) local_index: u32) {
  let first = workgroup_index(workgroup, workgroups) * WORKGROUP * EACH + local_index;
  let count = arrayLength(&w);
  if (first >= count || norm[2] == 0.0) { return; }
  //# for j in EACH
  let i$j = min(first + $ju * WORKGROUP, count - 1u);
  let w$j = w[i$j];
  let m$j = m[i$j];
  let v$j = v[i$j];
  let g$j = gradient[i$j];
  //# end
  //# for j in EACH
  if (first + $ju * WORKGROUP < count) { update(i$j, w$j, m$j, v$j, norm[1] * g$j); }
  //# end
}

/// Vec4 i of the weights, of which `old_m` and `old_v` are the moments and `g` the clipped gradient.
fn update(i: u32, old_w: vec4f, old_m: vec4f, old_v: vec4f, g: vec4f) {
  let lr = settings[0];
  let b1 = settings[1];
  let b2 = settings[2];
  let first = b1 * old_m + settings[7] * g;
  let second = b2 * old_v + settings[8] * g * g;
  let direction = DECAYS * settings[4] * old_w + (first / settings[5]) / (sqrt(second / settings[6]) + settings[3]);
  let updated = old_w - lr * direction;
  m[i] = first;
  v[i] = second;
  w[i] = updated;
  @if(COPY && COPY_BF16) copy[i] = vec2u(pack_bf16(updated.xy), pack_bf16(updated.zw));
  @if(COPY && !COPY_BF16) copy[i] = vec2u(pack2x16float(updated.xy), pack2x16float(updated.zw));
}
