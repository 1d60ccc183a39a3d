// rms_norm_backward_input: dx[t] (+)= r (dy w - n mean(dy w n)),   n = x[t] r[t]
//
//   x, dy, dx: [T, H] f32    w: [H] f32    r: [T] f32.   ACCUMULATE adds to dx, otherwise dx is overwritten.
//   UNIT_OFFSET: 1 + w in the place of w.
//
// Rows as in rms_norm_forward.
import package::norm::norm_weight::norm_weight;
import package::shared::elements::Elements;
import package::shared::elements::WIDTH;
import package::shared::elements::sum_of;
import package::shared::rows::STEP;
import package::shared::rows::first_element;
import package::shared::rows::row_of;
import package::shared::rows::row_sum;
import constants::HELD;
import constants::WORKGROUP;

@group(0) @binding(0) var<storage, read> x: array<Elements>;
@group(0) @binding(1) var<storage, read> w: array<Elements>;
@group(0) @binding(2) var<storage, read> r: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<Elements>;
@group(0) @binding(4) var<storage, read_write> dx: array<Elements>;

fn store(at: u32, gradient: Elements) {
  @if(ACCUMULATE) dx[at] += gradient;
  @else dx[at] = gradient;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) local_index: u32) {
  let t = row_of(workgroup, workgroups, local_index);
  if (t >= arrayLength(&r)) { return; }
  let columns = arrayLength(&w);
  let base = t * columns;
  let scale = r[t];
  let first = first_element(local_index);
  //# for i in HELD
  let h$i = first + $iu * STEP;
  let at$i = base + min(h$i, columns - 1u);
  let x$i = select(Elements(), x[at$i], h$i < columns);
  let dn$i = dy[at$i] * norm_weight(w[at$i - base]);
  //# end
  var products = Elements();
  //# for i in HELD
  products += dn$i * x$i;
  //# end
  for (var h = first + HELD * STEP; h < columns; h += STEP) { products += dy[base + h] * norm_weight(w[h]) * x[base + h]; }
  let sum = row_sum(vec4f(sum_of(products)), local_index).x;
  // n mean(dy w n) = x r^2 mean(dy w x)
  let pull = scale * scale * sum / f32(columns * WIDTH);
  //# for i in HELD
  if (h$i < columns) { store(at$i, scale * (dn$i - x$i * pull)); }
  //# end
  for (var h = first + HELD * STEP; h < columns; h += STEP) {
    store(base + h, scale * (dy[base + h] * norm_weight(w[h]) - x[base + h] * pull));
  }
}
