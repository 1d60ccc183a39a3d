// The norm of a row on its way into a product:  x r w,   r = 1 / sqrt(mean(x^2) + EPS), with the bits of rms_norm_forward.
// UNIT_OFFSET: 1 + w in the place of w.

@if(NORMED) override EPS: f32;

/// r of a row whose squares, added up in vec4, are `squares`.
fn inverse_rms(squares: vec4f, width: u32) -> f32 {
  return 1.0 / sqrt(((squares.x + squares.y) + (squares.z + squares.w)) / f32(width) + EPS);
}

fn normed(x: vec4f, r: f32, w: vec4f) -> vec4f {
  @if(UNIT_OFFSET) return x * r * (1.0 + w);
  @else return x * r * w;
}
