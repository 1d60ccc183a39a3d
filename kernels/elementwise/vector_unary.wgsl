// vector_unary: y = f(x), or in the backward pass dx (+)= dy f'(x), element by element
//
//   OP 0 affine terms.x x + terms.y   1 log sigmoid   2 softplus   3 relu   4 exp   5 square   6 sigmoid
//      7 log(1 - e^c), c = min(x, -1e-6): ORPO's odds, flat where clamped   8 sign   9 reciprocal
//
//   x, y, dy, dx: equal length, f32. Forward overwrites y; BACKWARD overwrites dx, or adds to it with ACCUMULATE.
//   One invocation per element.
import package::shared::grid::invocation_index;
import package::shared::math::log1mexp;
import package::shared::math::log_sigmoid;
import package::shared::math::sigmoid;
import package::shared::math::softplus;
import package::shared::math::expm1;
import constants::WORKGROUP;

override OP: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@if(BACKWARD) @group(0) @binding(2) var<storage, read> dy: array<f32>;
/// Data, so that all factors share one pipeline.
@group(0) @binding(3) var<storage, read> terms: vec2f;

fn value(a: f32) -> f32 {
  switch (OP) {
    case 1u: { return log_sigmoid(a); }
    case 2u: { return softplus(a); }
    case 3u: { return max(a, 0.0); }
    case 4u: { return exp(a); }
    case 5u: { return a * a; }
    case 6u: { return sigmoid(a); }
    case 7u: { return log1mexp(min(a, -1e-6)); }
    case 8u: { return sign(a); }
    case 9u: { return 1.0 / a; }
    default: { return terms.x * a + terms.y; }
  }
}

fn slope(a: f32) -> f32 {
  switch (OP) {
    case 1u: { return sigmoid(-a); }
    case 2u: { return sigmoid(a); }
    case 3u: { return select(0.0, 1.0, a > 0.0); }
    case 4u: { return exp(a); }
    case 5u: { return 2.0 * a; }
    case 6u: { return sigmoid(a) * sigmoid(-a); }
    case 7u: { return select(0.0, exp(a) / expm1(a), a < -1e-6); }
    case 8u: { return 0.0; }
    case 9u: { return -1.0 / (a * a); }
    default: { return terms.x; }
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= arrayLength(&y)) { return; }
  @if(!BACKWARD) y[i] = value(x[i]);
  @if(BACKWARD && !ACCUMULATE) y[i] = dy[i] * slope(x[i]);
  @if(BACKWARD && ACCUMULATE) y[i] += dy[i] * slope(x[i]);
}
