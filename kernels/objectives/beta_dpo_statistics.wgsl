// beta_dpo_statistics: the running mean and deviation of the gap A over the optimizer steps
//
//   m = MOMENTUM m0 + (1 - MOMENTUM) mean A;   s = MOMENTUM s0 + (1 - MOMENTUM) std A, the std with n - 1
//
//   gaps A, pair_weights (1 / n, or 0 in empty slots): [P] f32    mean_before m0, deviation_before s0: [1] f32
//   mean m, deviation s: [1] f32, overwritten.
//
// One invocation, in order: P is the number of pairs in an optimizer step.
override MOMENTUM: f32;

@group(0) @binding(0) var<storage, read> gaps: array<f32>;
@group(0) @binding(1) var<storage, read> pair_weights: array<f32>;
@group(0) @binding(2) var<storage, read> mean_before: array<f32>;
@group(0) @binding(3) var<storage, read> deviation_before: array<f32>;
@group(0) @binding(4) var<storage, read_write> mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> deviation: array<f32>;

@compute @workgroup_size(1)
fn main() {
  let slots = arrayLength(&gaps);
  var pairs = 0.0;
  var sum = 0.0;
  for (var i = 0u; i < slots; i++) {
    if (pair_weights[i] > 0.0) {
      pairs += 1.0;
      sum += gaps[i];
    }
  }
  let batch_mean = sum / pairs;
  var squares = 0.0;
  for (var i = 0u; i < slots; i++) {
    let distance = select(0.0, gaps[i] - batch_mean, pair_weights[i] > 0.0);
    squares += distance * distance;
  }
  let batch_deviation = sqrt(squares / max(pairs - 1.0, 1.0));
  mean[0] = MOMENTUM * mean_before[0] + (1.0 - MOMENTUM) * batch_mean;
  deviation[0] = MOMENTUM * deviation_before[0] + (1.0 - MOMENTUM) * batch_deviation;
}
