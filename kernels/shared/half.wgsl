// 16-bit values are stored two to a u32, low half first. Widening is exact and needs no shader-f16.

/// Two bf16 values: the upper 16 bits of an f32.
fn widen_bf16(packed: u32) -> vec2f {
  return vec2f(bitcast<f32>(packed << 16u), bitcast<f32>(packed & 0xffff0000u));
}

/// Two f16 values.
fn widen_f16(packed: u32) -> vec2f {
  return unpack2x16float(packed);
}

/// Inputs of products (activations) that are stored as products on tensor cores stage them: f16 in pairs, a 64th of the number
/// (STAGING.FORWARD of src/ops/linear/linear-product.ts), since those of models that were trained in bf16 may exceed 65504.
fn half_input(v: vec4f) -> vec2u {
  let staged = v / 64.0;
  return vec2u(pack2x16float(staged.xy), pack2x16float(staged.zw));
}

fn of_half_input(packed: vec2u) -> vec4f {
  return 64.0 * vec4f(widen_f16(packed.x), widen_f16(packed.y));
}

/// Gradients that only products read, likewise as they are staged: 4096 times the number (STAGING.INPUT and STAGING.WEIGHT), since they are small.
fn half_gradient(v: vec4f) -> vec2u {
  let staged = 4096.0 * v;
  return vec2u(pack2x16float(staged.xy), pack2x16float(staged.zw));
}

fn of_half_gradient(packed: vec2u) -> vec4f {
  return vec4f(widen_f16(packed.x), widen_f16(packed.y)) / 4096.0;
}

/// Packs two f32 to bf16, rounding to nearest even. For finite values.
fn pack_bf16(value: vec2f) -> u32 {
  let bits = bitcast<vec2u>(value);
  let rounded = bits + vec2u(0x7fffu) + ((bits >> vec2u(16u)) & vec2u(1u));
  return (rounded.x >> 16u) | (rounded.y & 0xffff0000u);
}
