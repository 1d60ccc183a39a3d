/**
 * The programs of training.
 *
 * A separable objective needs one program per micro-batch: policy and (live) reference forward, objective, backward.
 * One that is not separable sees the whole step at once: every micro-batch runs forward and leaves its log-probs in a
 * step-long tensor; the objective runs once; every micro-batch runs forward again and then backward from its part of
 * dL/dlogp. Activations never outlive a micro-batch either way.
 */
import { type Tensor, temporary } from '../../autograd/tensor.ts';
import type { Workspace } from '../../autograd/workspace.ts';
import type { BatchShape } from '../../data/batches.ts';
import type { Program, Recorder } from '../../gpu/program.ts';
import type { ActiveObjective } from '../../objectives/choice.ts';
import type { ObjectiveState } from '../../objectives/objective.ts';
import { type ObjectiveRun, runObjective } from '../../objectives/run.ts';
import { accumulate, tapeFor } from '../../ops/index.ts';
import { recordMicroBatchSlice } from '../../ops/indexing/micro-batch-slice.ts';
import { BatchTensors, objectiveFields } from '../batch-tensors.ts';
import { responseLogps } from '../forward.ts';
import type { StepMetrics } from '../metrics.ts';
import type { OverflowWatch } from '../overflow-watch.ts';
import {
  knownInputs,
  type Logps,
  recordLogps,
  recordMetrics,
  recordTokens,
  type StepModels,
} from './tokens.ts';

/** What training needs besides the models. */
export interface TrainingModels extends StepModels {
  readonly metrics: StepMetrics;
  /** So many blocks, from the first, are computed again in the backward pass. */
  readonly recomputedBlocks: number;
  /** Keeps the largest absolute value of every tensor of a step, on request. */
  readonly watch: OverflowWatch | undefined;
}

/**
 * What the micro-batches of a step leave for an objective that sees it as a whole: log-probs of policy and reference, and
 * what the perturbed logits give; and what the objective leaves for them, dL/dlogp. [rows of the step] each.
 */
export class StepExchange {
  readonly batch: BatchTensors;
  readonly exchanged: { readonly logps: Tensor } & Readonly<
    Partial<Record<'refLogps' | 'plus' | 'minus', Tensor>>
  >;
  readonly gradient: Tensor;

  /** @param largest the most rows and pairs that one optimizer step has. */
  constructor(workspace: Workspace, { needs }: ActiveObjective, largest: BatchShape) {
    this.batch = new BatchTensors(workspace, largest, objectiveFields(needs));
    const make = (label: string) => workspace.tensor(`${label} of the step`, [largest.rows], 'f32', 'batch');
    this.exchanged = {
      logps: make('log-probs'),
      ...(needs.reference !== 'none' && { refLogps: make('reference log-probs') }),
      ...(needs.reference === 'logits' && { plus: make('log p+ - log p'), minus: make('log p - log p-') }),
    };
    this.gradient = make('dL/dlogp');
  }

  /** As the objective sees them. */
  get inputs(): Logps {
    const { logps, refLogps, plus, minus } = this.exchanged;
    return { logps, refLogps, logpSteps: plus && minus && { plus, minus } };
  }
}

/** Forward, objective and backward of one micro-batch. */
export function separableProgram(models: TrainingModels, batch: BatchTensors): Program {
  return models.workspace.program(`step of ${batch.capacity.tokens} tokens`, (recorder) => {
    const observe = models.watch?.observe(recorder);
    const tape = tapeFor(recorder, observe);
    const tokens = recordTokens(models, tape, batch, {
      training: true,
      recomputedBlocks: models.recomputedBlocks,
    });
    const run = recorder.asPart('objective', () => {
      const made = runObjective(recorder, models.objective, tokens, models.state);
      recordMetrics(recorder, models.metrics, models.objective, made, tokens);
      addToState(recorder, models.state, made);
      return made;
    });
    if (run.gradient === undefined) throw new RangeError('The objective gave no gradient.');
    observe?.('dL/dlogp', run.gradient);
    tape.backward(tokens.logps, run.gradient);
  });
}

/** Forward of one micro-batch; its log-probs go to their place in the step. */
export function forwardProgram(models: TrainingModels, batch: BatchTensors, step: StepExchange): Program {
  return models.workspace.program(`forward of ${batch.capacity.tokens} tokens`, (recorder) => {
    const tape = tapeFor(recorder, models.watch?.observe(recorder));
    const { logps, refLogps, logpSteps } = recordLogps(models, tape, batch, { training: false });
    const { exchanged } = step;
    copyRows(recorder, logps, exchanged.logps, batch, 'scatter');
    for (const [rows, to] of [
      [refLogps, exchanged.refLogps],
      [logpSteps?.plus, exchanged.plus],
      [logpSteps?.minus, exchanged.minus],
    ])
      if (rows !== undefined && to !== undefined) copyRows(recorder, rows, to, batch, 'scatter');
  });
}

/** The objective over all log-probs of a step. */
export function objectiveProgram(models: TrainingModels, step: StepExchange): Program {
  return models.workspace.program('objective of the step', (recorder) =>
    recorder.asPart('objective', () => {
      const tokens = { ...knownInputs(models.objective, step.batch, true), ...step.inputs };
      const run = runObjective(recorder, models.objective, tokens, models.state);
      if (run.gradient === undefined) throw new RangeError('The objective gave no gradient.');
      models.watch?.observe(recorder)('dL/dlogp', run.gradient);
      accumulate(recorder, run.gradient, { tensor: step.gradient, accumulate: false });
      recordMetrics(recorder, models.metrics, models.objective, run, tokens);
      addToState(recorder, models.state, run);
    }),
  );
}

/** Forward again and backward from the micro-batch's part of the step's gradient. */
export function backwardProgram(models: TrainingModels, batch: BatchTensors, step: StepExchange): Program {
  return models.workspace.program(`backward of ${batch.capacity.tokens} tokens`, (recorder) => {
    const tape = tapeFor(recorder, models.watch?.observe(recorder));
    const logps = responseLogps(tape, models.policy, batch, {
      adapter: true,
      recomputedBlocks: models.recomputedBlocks,
      trained: true,
    });
    const gradient = temporary(recorder, 'dL/dlogp', logps.shape);
    copyRows(recorder, gradient, step.gradient, batch, 'gather');
    tape.backward(logps, gradient);
  });
}

function addToState(recorder: Recorder, state: ObjectiveState, run: ObjectiveRun): void {
  for (const [name, value] of Object.entries(run.accumulate ?? {})) {
    accumulate(recorder, value, { tensor: state[name], accumulate: true });
  }
}

function copyRows(
  recorder: Recorder,
  rows: Tensor,
  step: Tensor,
  batch: BatchTensors,
  direction: 'gather' | 'scatter',
): void {
  recordMicroBatchSlice(recorder, { rows, step, place: batch.get('place') }, direction);
}
