/// x sigmoid(x). exp of a large argument may be infinite: beyond 80 the sigmoid is 0 in f32 anyway.
fn silu(x: vec4f) -> vec4f {
  return x / (1.0 + exp(min(-x, vec4f(80.0))));
}
