// Functions that WGSL lacks or promises too little about: its log is off by up to 2^-21 near 1, which would be all of a
// small log1p, it has no expm1, and its tanh is good to an absolute 1e-5 only. Series cover the neighbourhood of zero.

/// log(1 + x), accurate near 0. x > -1.
fn log1p(x: f32) -> f32 {
  if (x < -0.5 || x > 1.0) { return log(1.0 + x); }
  // 2 atanh(s) with s = x / (2 + x), |s| <= 1/3
  let s = x / (2.0 + x);
  let q = s * s;
  return 2.0 * s * (1.0 + q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0 + q * (1.0 / 13.0 + q * (1.0 / 15.0))))))));
}

/// exp(x) - 1, accurate near 0.
fn expm1(x: f32) -> f32 {
  if (abs(x) > 0.5) { return exp(x) - 1.0; }
  return x * (1.0 + x * (1.0 / 2.0 + x * (1.0 / 6.0 + x * (1.0 / 24.0 + x * (1.0 / 120.0 + x * (1.0 / 720.0 + x * (1.0 / 5040.0 + x * (1.0 / 40320.0))))))));
}

/// tanh, to a few units in the last place everywhere: an odd polynomial near 0 (Cephes' tanhf), else 1 - 2 / (e^2x + 1).
fn tanh4(x: vec4f) -> vec4f {
  let z = x * x;
  let near = x + x * z * (-3.33332819422e-1 + z * (1.33314422036e-1 + z * (-5.37397155531e-2 + z * (2.06390887954e-2 + z * -5.70498872745e-3))));
  // In f32 tanh is 1 from 9.02 on; e^2x stays finite.
  let far = sign(x) * (1.0 - 2.0 / (exp(2.0 * min(abs(x), vec4f(10.0))) + 1.0));
  return select(far, near, abs(x) < vec4f(0.625));
}

/// log(1 + e^x) without overflow.
fn softplus(x: f32) -> f32 {
  return max(x, 0.0) + log1p(exp(-abs(x)));
}

/// log(1 / (1 + e^-x)) without overflow.
fn log_sigmoid(x: f32) -> f32 {
  return -softplus(-x);
}

/// 1 / (1 + e^-x) without overflow.
fn sigmoid(x: f32) -> f32 {
  let e = exp(-abs(x));
  return select(e, 1.0, x >= 0.0) / (1.0 + e);
}

/// log(1 - e^x) for x < 0, accurate near 0 and far from it.
fn log1mexp(x: f32) -> f32 {
  if (x > -0.6931472) { return log(-expm1(x)); }
  return log1p(-exp(x));
}

/// Read off the exponent bits, since compilers may assume that there are no infinities.
fn is_finite(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}
