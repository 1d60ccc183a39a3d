// beta_dpo_select: int(n (1 - RHO)) of n pairs, drawn without replacement with weights w = exp(-((A - m) / s)^2 / 2)
//
//   The draw keeps the pairs with the largest log w + g, g standard Gumbel noise (Gumbel top-k), the earlier one of a tie.
//   Logarithms stay finite where w is too small for f32.
//
//   gaps A, pair_weights (1 / n, or 0 in empty slots), gumbels g: [P] f32    mean m, deviation s: [1] f32
//   keep: [P] f32, overwritten: 1 / kept for a pair that is kept, else 0
//
// One invocation per pair counts the pairs before its own.
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

override RHO: f32;

@group(0) @binding(0) var<storage, read> gaps: array<f32>;
@group(0) @binding(1) var<storage, read> pair_weights: array<f32>;
@group(0) @binding(2) var<storage, read> gumbels: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> deviation: array<f32>;
@group(0) @binding(5) var<storage, read_write> keep: array<f32>;

fn order(i: u32) -> f32 {
  let distance = (gaps[i] - mean[0]) / max(deviation[0], 1e-12);
  return 0.5 * distance * distance - gumbels[i];
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= arrayLength(&keep)) { return; }
  let own = order(i);
  var pairs = 0.0;
  var rank = 0.0;
  for (var j = 0u; j < arrayLength(&keep); j++) {
    if (pair_weights[j] > 0.0) {
      let other = order(j);
      pairs += 1.0;
      rank += select(0.0, 1.0, other < own || (other == own && j < i));
    }
  }
  // A little more than the product, so that 10 * (1 - 0.2) is 8 and not 7; one pair is always kept.
  let wanted = max(floor(pairs * (1.0 - RHO) + 1e-4), 1.0);
  keep[i] = select(0.0, 1.0 / wanted, pair_weights[i] > 0.0 && rank < wanted);
}
