// sgd: one step of stochastic gradient descent over a slab, as torch.optim.SGD without dampening
//
//   g = clip * gradient + decay * w
//   b = momentum * b + g   (MOMENTUM; else b = g, and nothing is kept)
//   w = w - lr * b
//
//   w, b: f32, updated in place    gradient: f32    norm: of gradient_norm.wgsl; nothing is touched unless finite
//   settings: (lr, momentum, decay)
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
@if(MOMENTUM) @group(0) @binding(5) var<storage, read_write> buffer: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) local_index: u32) {
  let first = workgroup_index(workgroup, workgroups) * WORKGROUP * EACH + local_index;
  let count = arrayLength(&w);
  if (first >= count || norm[2] == 0.0) { return; }
  //# for j in EACH
  let i$j = min(first + $ju * WORKGROUP, count - 1u);
  let w$j = w[i$j];
  let g$j = gradient[i$j];
  //# end
  //# for j in EACH
  if (first + $ju * WORKGROUP < count) { update(i$j, w$j, norm[1] * g$j); }
  //# end
}

/// Vec4 i of the weights, of which `g` is the clipped gradient.
fn update(i: u32, old_w: vec4f, g: vec4f) {
  let lr = settings[0];
  var b = g + DECAYS * settings[2] * old_w;
  @if(MOMENTUM) {
    b += settings[1] * buffer[i];
    buffer[i] = b;
  }
  let updated = old_w - lr * b;
  w[i] = updated;
  @if(COPY && COPY_BF16) copy[i] = vec2u(pack_bf16(updated.xy), pack_bf16(updated.zw));
  @if(COPY && !COPY_BF16) copy[i] = vec2u(pack2x16float(updated.xy), pack2x16float(updated.zw));
}
