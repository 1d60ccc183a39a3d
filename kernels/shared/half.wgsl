// 16-bit values are stored two to a u32, low half first. Widening is exact and needs no shader-f16.

/// Two bf16 values: the upper 16 bits of an f32.
fn widen_bf16(packed: u32) -> vec2f {
  return vec2f(bitcast<f32>(packed << 16u), bitcast<f32>(packed & 0xffff0000u));
}

/// Two f16 values.
fn widen_f16(packed: u32) -> vec2f {
  return unpack2x16float(packed);
}

/// Packs two f32 to bf16, rounding to nearest even. For finite values.
fn pack_bf16(value: vec2f) -> u32 {
  let bits = bitcast<vec2u>(value);
  let rounded = bits + vec2u(0x7fffu) + ((bits >> vec2u(16u)) & vec2u(1u));
  return (rounded.x >> 16u) | (rounded.y & 0xffff0000u);
}
