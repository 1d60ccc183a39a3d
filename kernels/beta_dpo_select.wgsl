// beta_dpo_select: the batch statistics, the selection and the beta of one step of beta-DPO
//
//   m = MOMENTUM m0 + (1 - MOMENTUM) mean A;   s likewise with the standard deviation (n - 1);   n = pairs in the step
//   keep int(n (1 - RHO)) pairs drawn without replacement with weights w = exp(-((A - m) / s)^2 / 2):
//   the pairs with the largest log(u) / w (Efraimidis & Spirakis), the earlier pair on ties
//   beta = max(BETA (1 + A_SCALE (mean of kept A - m)), 1e-3)
//
//   gaps A, pair_weights (1 / n or 0), uniforms u: [P] f32    mean_before m0, deviation_before s0: [1] f32
//   keep: [P] f32, 1 / kept or 0    result: [3] f32 (m, s, beta); both overwritten.
//   SELECT false (evaluation): the statistics stay, every pair is kept.
//
// One invocation: P is the number of pairs in an optimizer step.
override BETA: f32;
override A_SCALE: f32;
@if(SELECT) override RHO: f32;
@if(SELECT) override MOMENTUM: f32;

@group(0) @binding(0) var<storage, read> gaps: array<f32>;
@group(0) @binding(1) var<storage, read> pair_weights: array<f32>;
@group(0) @binding(2) var<storage, read> mean_before: array<f32>;
@group(0) @binding(3) var<storage, read> deviation_before: array<f32>;
@group(0) @binding(4) var<storage, read_write> keep: array<f32>;
@group(0) @binding(5) var<storage, read_write> result: array<f32>;
@if(SELECT) @group(0) @binding(6) var<storage, read> uniforms: array<f32>;

@if(SELECT) fn priority(i: u32, m: f32, s: f32) -> f32 {
  let distance = (gaps[i] - m) / s;
  return log(uniforms[i]) / exp(-0.5 * distance * distance);
}

@compute @workgroup_size(1)
fn main() {
  let pairs = arrayLength(&gaps);
  var count = 0.0;
  var sum = 0.0;
  for (var i = 0u; i < pairs; i++) {
    if (pair_weights[i] > 0.0) {
      count += 1.0;
      sum += gaps[i];
    }
  }
  let mean = sum / count;
  var squares = 0.0;
  for (var i = 0u; i < pairs; i++) {
    if (pair_weights[i] > 0.0) { squares += (gaps[i] - mean) * (gaps[i] - mean); }
  }
  var m = mean_before[0];
  var s = deviation_before[0];
  var wanted = count;
  @if(SELECT) {
    m = MOMENTUM * m + (1.0 - MOMENTUM) * mean;
    s = max(MOMENTUM * s + (1.0 - MOMENTUM) * sqrt(squares / max(count - 1.0, 1.0)), 1e-12);
    // A little more than the product, so that 10 * (1 - 0.2) is 8 and not 7.
    wanted = max(floor(count * (1.0 - RHO) + 1e-4), 1.0);
  }

  var kept_sum = 0.0;
  for (var i = 0u; i < pairs; i++) {
    var rank = 0.0;
    @if(SELECT) {
      let own = priority(i, m, s);
      for (var j = 0u; j < pairs; j++) {
        let other = priority(j, m, s);
        if (pair_weights[j] > 0.0 && (other > own || (other == own && j < i))) { rank += 1.0; }
      }
    }
    let kept = pair_weights[i] > 0.0 && rank < wanted;
    keep[i] = select(0.0, 1.0 / wanted, kept);
    kept_sum += select(0.0, gaps[i], kept);
  }
  result[0] = m;
  result[1] = s;
  result[2] = max(BETA * (1.0 + A_SCALE * (kept_sum / wanted - m)), 1e-3);
}
