/** The program of scoring: what policy, reference and objective say about every response token. */
import type { Tensor } from '../../autograd/tensor.ts';
import type { Program } from '../../gpu/program.ts';
import { runObjective } from '../../objectives/run.ts';
import { accumulate, tapeFor } from '../../ops/index.ts';
import { recordTokenStatistics } from '../../ops/logps/token-statistics.ts';
import type { BatchTensors } from '../batch-tensors.ts';
import { referenceHidden, referenceLogps, responseHidden } from '../forward.ts';
import { recordTokens, type StepModels } from './tokens.ts';

/** What scoring can give: per token [rows] or [rows, STRIDE], and per pair (losses; epsilon-DPO's steps). */
export type ScoreName =
  | 'logps'
  | 'refLogps'
  | 'weights'
  | 'contributions'
  | 'losses'
  | 'steps'
  | 'statistics'
  | 'refStatistics';

/**
 * Forward and objective without backward. What is wanted is left in tensors of the workspace, as far as the objective and
 * the reference give it; token statistics take a second forward pass.
 */
export function scoreProgram(
  models: StepModels,
  batch: BatchTensors,
  wanted: readonly ScoreName[],
): { program: Program; outputs: Readonly<Partial<Record<ScoreName, Tensor>>> } {
  const { workspace, policy, reference, objective, state } = models;
  const outputs: Partial<Record<ScoreName, Tensor>> = {};
  const program = workspace.program(`scores of ${batch.capacity.tokens} tokens`, (recorder) => {
    const write = (name: ScoreName, tensor: Tensor | undefined) => {
      if (tensor === undefined || !wanted.includes(name)) return;
      const output = workspace.tensor(name, tensor.shape, 'f32', 'batch');
      accumulate(recorder, tensor, { tensor: output, accumulate: false });
      outputs[name] = output;
    };
    const tape = tapeFor(recorder);
    const tokens = recordTokens(models, tape, batch, { training: false });
    const refLogps = tokens.refLogps ?? (reference && referenceLogps(tape, reference, batch));
    const run = runObjective(recorder, objective, tokens, state);
    write('logps', tokens.logps);
    write('refLogps', refLogps);
    write('weights', run.weights);
    write('contributions', run.contributions);
    write('losses', run.losses);
    write('steps', run.details?.steps);
    if (!wanted.includes('statistics')) return;
    const targets = batch.get('targets');
    const options = { adapter: true, recomputedBlocks: 0 };
    const own = { hidden: responseHidden(tape, policy, batch, options), head: policy.head };
    const other = reference && {
      hidden: referenceHidden(tape, reference, batch),
      head: reference.model.head,
    };
    write('statistics', recordTokenStatistics(recorder, own, targets, other));
    write('refStatistics', other && recordTokenStatistics(recorder, other, targets));
  });
  return { program, outputs };
}
