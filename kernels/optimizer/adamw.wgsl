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
// One invocation per four elements; limited by bandwidth.
import package::shared::grid::invocation_index;
import package::shared::half::pack_bf16;
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
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= arrayLength(&w) || norm[2] == 0.0) { return; }
  let lr = settings[0];
  let b1 = settings[1];
  let b2 = settings[2];
  let g = norm[1] * gradient[i];
  let first = b1 * m[i] + settings[7] * g;
  let second = b2 * v[i] + settings[8] * g * g;
  let direction = DECAYS * settings[4] * w[i] + (first / settings[5]) / (sqrt(second / settings[6]) + settings[3]);
  let updated = w[i] - lr * direction;
  m[i] = first;
  v[i] = second;
  w[i] = updated;
  @if(COPY && COPY_BF16) copy[i] = vec2u(pack_bf16(updated.xy), pack_bf16(updated.zw));
  @if(COPY && !COPY_BF16) copy[i] = vec2u(pack2x16float(updated.xy), pack2x16float(updated.zw));
}
