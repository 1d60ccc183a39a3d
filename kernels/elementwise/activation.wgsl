// The activation of a gated feed-forward block:  f(x) = x s,   s = 1 / (1 + exp(-u(x)))
//
//   silu: u = x      GELU: u = 2 sqrt(2 / pi) (x + 0.044715 x^3), which is 0.5 x (1 + tanh(u / 2)), "gelu_pytorch_tanh"
//   f'(x) = s r,   r = 1 + x u'(x) (1 - s)
//
// exp of a large argument may be infinite: beyond 80 the sigmoid is 0 in f32 anyway.

import package::shared::half::widen_f16;

// 2 sqrt(2 / pi)
const STEEPNESS = 1.5957691216057308;

@if(GELU) fn exponent(x: vec4f) -> vec4f { return STEEPNESS * x * (1.0 + 0.044715 * x * x); }
@else fn exponent(x: vec4f) -> vec4f { return x; }

fn activated(x: vec4f) -> vec4f {
  return x / (1.0 + exp(min(-exponent(x), vec4f(80.0))));
}

fn gate_sigmoid(x: vec4f) -> vec4f {
  return 1.0 / (1.0 + exp(min(-exponent(x), vec4f(80.0))));
}

/// r = f'(x) / s, given s = gate_sigmoid(x).
fn relative_slope(x: vec4f, s: vec4f) -> vec4f {
  @if(GELU) return 1.0 + x * STEEPNESS * (1.0 + 3.0 * 0.044715 * x * x) * (1.0 - s);
  @else return 1.0 + x * (1.0 - s);
}

/// The inputs of a gated feed-forward block as they are kept for its gradient, f16 in pairs. Divided by 256, since those of
/// models that were trained in bf16 may exceed f16's 65504; what is below 1e-5 then vanishes.
fn kept(v: vec4f) -> vec2u {
  let scaled = v / 256.0;
  return vec2u(pack2x16float(scaled.xy), pack2x16float(scaled.zw));
}

fn of_kept(packed: vec2u) -> vec4f {
  return 256.0 * vec4f(widen_f16(packed.x), widen_f16(packed.y));
}
