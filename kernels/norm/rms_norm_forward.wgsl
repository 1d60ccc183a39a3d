// rms_norm_forward: y[t] = x[t] * r[t] * w (+ residual[t]),   r[t] = 1 / sqrt(mean(x[t]^2) + EPS)
//
//   x, y: [T, H] f32    w: [H] f32    r: [T] f32; y and r are overwritten.   UNIT_OFFSET: 1 + w in the place of w.
//   residual: [T, H] f32, read when RESIDUAL    HALF, which needs VEC4: y is the input of products in f16 (`half_input` of half.wgsl)
//
// Rows as in rows.wgsl; limited by bandwidth. The first HELD elements of an invocation stay in registers, the rest of a row is read twice.
// H is the length of a binding: loops of a baked length are unrolled by CPU adapters, which then compile for seconds.
import package::norm::norm_weight::norm_weight;
import package::shared::elements::Elements;
import package::shared::elements::WIDTH;
import package::shared::elements::sum_of;
import package::shared::half::half_input;
import package::shared::rows::STEP;
import package::shared::rows::first_element;
import package::shared::rows::row_of;
import package::shared::rows::row_sum;
import package::shared::rows::writes_row;
import constants::HELD;
import constants::WORKGROUP;

override EPS: f32;

@group(0) @binding(0) var<storage, read> x: array<Elements>;
@group(0) @binding(1) var<storage, read> w: array<Elements>;
@if(HALF) @group(0) @binding(2) var<storage, read_write> y: array<vec2u>;
@if(!HALF) @group(0) @binding(2) var<storage, read_write> y: array<Elements>;
@group(0) @binding(3) var<storage, read_write> r: array<f32>;
@if(RESIDUAL) @group(0) @binding(4) var<storage, read> residual: array<Elements>;

/// Element h of the row that begins at `base`, of which `n` is x r.
fn store(base: u32, h: u32, n: Elements) {
  var value = n * norm_weight(w[h]);
  @if(RESIDUAL) value += residual[base + h];
  @if(HALF) y[base + h] = half_input(value);
  @if(!HALF) y[base + h] = value;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) local_index: u32) {
  let t = row_of(workgroup, workgroups, local_index);
  if (t >= arrayLength(&r)) { return; }
  let columns = arrayLength(&w);
  let base = t * columns;
  let first = first_element(local_index);
  //# for i in HELD
  let h$i = first + $iu * STEP;
  let x$i = select(Elements(), x[base + min(h$i, columns - 1u)], h$i < columns);
  //# end
  var squares = Elements();
  //# for i in HELD
  squares += x$i * x$i;
  //# end
  for (var h = first + HELD * STEP; h < columns; h += STEP) { squares += x[base + h] * x[base + h]; }
  let sum = row_sum(vec4f(sum_of(squares)), local_index).x;
  let scale = 1.0 / sqrt(sum / f32(columns * WIDTH) + EPS);
  //# for i in HELD
  if (h$i < columns) { store(base, h$i, x$i * scale); }
  //# end
  for (var h = first + HELD * STEP; h < columns; h += STEP) { store(base, h, x[base + h] * scale); }
  if (writes_row(local_index)) { r[t] = scale; }
}
