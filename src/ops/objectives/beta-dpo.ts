/** beta-DPO's statistics of a batch's gaps and the selection of its pairs (kernels/objectives); neither carries a gradient. */
import { type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import type { Recorder } from '../../gpu/program.ts';
import { gridFor, workgroupSize } from '../launch.ts';

/** Running mean and standard deviation of gaps, f32 [1] each. */
export interface GapStatistics {
  readonly mean: Tensor;
  readonly deviation: Tensor;
}

/**
 * m <- momentum m + (1 - momentum) mean of the gaps; their standard deviation (n - 1) likewise.
 * @param gaps f32 [P]
 * @param pairWeights f32 [P], 0 in empty slots
 */
export function recordGapStatistics(
  recorder: Recorder,
  gaps: Tensor,
  pairWeights: Tensor,
  before: GapStatistics,
  momentum: number,
): GapStatistics {
  const mean = temporary(recorder, 'mean gap', [1]);
  const deviation = temporary(recorder, 'deviation of the gap', [1]);
  recorder.launch({
    kernel: 'beta_dpo_statistics',
    overrides: { MOMENTUM: momentum },
    bindings: {
      gaps: whole(gaps),
      pair_weights: whole(pairWeights),
      mean_before: whole(before.mean),
      deviation_before: whole(before.deviation),
      mean: whole(mean),
      deviation: whole(deviation),
    },
    grid: [1, 1],
  });
  return { mean, deviation };
}

/**
 * Draws int(B (1 - rho)) of B pairs without replacement, with weights exp(-((gap - m) / s)^2 / 2).
 * @param gumbels f32 [P], standard Gumbel noise
 * @returns 1 / kept for the pairs that are kept, else 0, [P]
 */
export function recordPairSelection(
  recorder: Recorder,
  {
    gaps,
    pairWeights,
    gumbels,
  }: { readonly gaps: Tensor; readonly pairWeights: Tensor; readonly gumbels: Tensor },
  { mean, deviation }: GapStatistics,
  rho: number,
): Tensor {
  const keep = temporary(recorder, 'kept pairs', pairWeights.shape);
  recorder.launch({
    kernel: 'beta_dpo_select',
    constants: { WORKGROUP: workgroupSize(recorder) },
    overrides: { RHO: rho },
    bindings: {
      gaps: whole(gaps),
      pair_weights: whole(pairWeights),
      gumbels: whole(gumbels),
      mean: whole(mean),
      deviation: whole(deviation),
      keep: whole(keep),
    },
    grid: gridFor(recorder, pairWeights.shape[0]),
  });
  return keep;
}
