/** The program of evaluation: the objective without backward, and what is worth knowing about a policy besides. */
import type { Tensor } from '../../autograd/tensor.ts';
import type { Program, Recorder } from '../../gpu/program.ts';
import type { TokenInputs } from '../../objectives/objective.ts';
import { type ObjectiveRun, runObjective } from '../../objectives/run.ts';
import { recordFill } from '../../ops/elementwise/fill.ts';
import { vectorMath } from '../../ops/elementwise/vector.ts';
import { accumulate, tapeFor } from '../../ops/index.ts';
import { recordTokenStatistics, statisticsColumn } from '../../ops/logps/token-statistics.ts';
import { segmentSum } from '../../ops/reduction/segment-sum.ts';
import type { BatchTensors } from '../batch-tensors.ts';
import { referenceHidden, responseHidden } from '../forward.ts';
import type { StepMetrics } from '../metrics.ts';
import { recordMetrics, recordTokens, type StepModels } from './tokens.ts';

/** What evaluation reads per pair, f32 [pairs] each: the difference of mean log-probs per token, chosen - rejected. */
export interface PairGaps {
  /** The reference's: K of MIPO. */
  readonly reference: Tensor;
  readonly policy: Tensor;
}

/**
 * Objective without backward, for evaluation. `metrics` are means over this batch.
 * @param pairs both answers of every row are there
 * @param gaps filled where the objective has a reference
 */
export function evaluationProgram(
  models: StepModels,
  batch: BatchTensors,
  metrics: StepMetrics,
  pairs: boolean,
  gaps?: PairGaps,
): Program {
  return models.workspace.program(`evaluation of ${batch.capacity.tokens} tokens`, (recorder) => {
    recordFill(recorder, metrics.tensor, 0);
    const tokens = recordTokens(models, tapeFor(recorder), batch, { training: false });
    const run = runObjective(recorder, models.objective, tokens, models.state);
    recordMetrics(recorder, metrics, models.objective, run, tokens);
    recordKl(recorder, models, metrics, batch, tokens);
    if (!pairs) return;
    const gap = recordMeanLogps(recorder, metrics, run, tokens);
    if (gaps === undefined || tokens.refLogps === undefined) return;
    accumulate(recorder, recordReferenceGap(recorder, tokens, tokens.refLogps), {
      tensor: gaps.reference,
      accumulate: false,
    });
    accumulate(recorder, gap, { tensor: gaps.policy, accumulate: false });
  });
}

/**
 * KL of policy and reference on the chosen answers, over the whole vocabulary and teacher-forced: KL(policy || reference)
 * (BMC, Figure 9) and KL(reference || policy) (epsilon-DPO, Figure 4b), summed over each answer and as a mean per token.
 * Needs the reference's logits, so a reference that is only known by its log-probs gives none.
 */
function recordKl(
  recorder: Recorder,
  models: StepModels,
  metrics: StepMetrics,
  batch: BatchTensors,
  tokens: TokenInputs,
): void {
  const { policy, reference } = models;
  const refHead = reference?.model.head ?? models.referenceHead;
  if (refHead === undefined) return;
  const tape = tapeFor(recorder);
  const options = { adapter: true, recomputedBlocks: 0 };
  const own = { hidden: responseHidden(tape, policy, batch, options), head: policy.head };
  const refHidden = reference === undefined ? batch.refHidden : referenceHidden(tape, reference, batch);
  const other = { hidden: refHidden, head: refHead };
  const statistics = recordTokenStatistics(recorder, own, batch.get('targets'), other);
  const math = vectorMath(tape);
  const { chosen, pairWeights } = tokens;
  for (const [name, column] of [
    ['kl_chosen', 'kl'],
    ['forward_kl_chosen', 'reverseKl'],
  ] as const) {
    const values = statisticsColumn(recorder, statistics, column);
    const [sums] = tape.apply(segmentSum, [values], { segments: chosen.segments });
    metrics.addMean(recorder, name, sums, pairWeights);
    metrics.addMean(recorder, `${name}_per_token`, math.divide(sums, chosen.lengths), pairWeights);
  }
}

/**
 * How often, and by how much, the chosen answer has the higher mean log-prob per token: no reference comes into it.
 * @returns the difference per pair
 */
function recordMeanLogps(
  recorder: Recorder,
  metrics: StepMetrics,
  run: ObjectiveRun,
  { chosen, rejected, pairWeights }: TokenInputs,
): Tensor {
  const math = vectorMath(tapeFor(recorder));
  const ofChosen = math.divide(run.logps.chosen, chosen.lengths);
  const ofRejected = math.divide(run.logps.rejected, rejected.lengths);
  metrics.addShareGreater(recorder, 'mean_logps/accuracies', ofChosen, ofRejected, pairWeights);
  const gap = math.subtract(ofChosen, ofRejected);
  metrics.addMean(recorder, 'mean_logps/margins', gap, pairWeights);
  return gap;
}

/** K: the difference of the reference's mean log-probs per token, chosen - rejected, [P]. */
function recordReferenceGap(recorder: Recorder, { chosen, rejected }: TokenInputs, refLogps: Tensor): Tensor {
  const tape = tapeFor(recorder);
  const math = vectorMath(tape);
  const mean = ({ segments, lengths }: TokenInputs['chosen']) =>
    math.divide(tape.apply(segmentSum, [refLogps], { segments })[0], lengths);
  return math.subtract(mean(chosen), mean(rejected));
}
