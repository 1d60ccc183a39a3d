// Frozen weights in 8 or 4 bits, in groups of 64 along a row that share one f32 scale (src/models/quantize.ts).

/// Four signed bytes, -127 .. 127, the first in the lowest bits.
fn widen_i8(packed: u32) -> vec4f {
  let bytes = vec4i(bitcast<i32>(packed << 24u), bitcast<i32>(packed << 16u), bitcast<i32>(packed << 8u), bitcast<i32>(packed));
  return vec4f(bytes >> vec4u(24u));
}

/// The 16 values of NF4 (QLoRA, appendix E): quantiles of the normal distribution, scaled to -1 .. 1, with an exact 0.
const NF4 = array<f32, 16>(
  -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
  -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
  0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
  0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
);

/// Four NF4 indices, the first in the lowest bits.
fn widen_nf4(packed: u32) -> vec4f {
  var values = NF4;
  return vec4f(values[packed & 15u], values[(packed >> 4u) & 15u], values[(packed >> 8u) & 15u], values[(packed >> 12u) & 15u]);
}
