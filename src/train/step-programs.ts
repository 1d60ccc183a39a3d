/**
 * The programs of a training step, one set per shape bucket.
 *
 * A separable objective needs one program per micro-batch: policy and (live) reference forward, objective, backward.
 * One that is not separable sees the whole step at once: every micro-batch runs forward and leaves its log-probs in a
 * step-long tensor; the objective runs once; every micro-batch runs forward again and then backward from its part of
 * dL/dlogp. Activations never outlive a micro-batch either way.
 */
import type { Tape } from '../autograd/tape.ts';
import { allocateTensor, detach, freeTensor, type Tensor, temporary, whole } from '../autograd/tensor.ts';
import type { BatchShape } from '../data/batches.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Arena } from '../gpu/planner.ts';
import { gridOf, Program, type Recorder } from '../gpu/program.ts';
import type { Llama } from '../models/llama.ts';
import type { ObjectiveInputs } from '../objectives/objective.ts';
import { type BoundObjective, type ObjectiveRun, runObjective } from '../objectives/run.ts';
import { epsilonLogps } from '../ops/epsilon-logps.ts';
import { tapeFor } from '../ops/index.ts';
import { segmentSum } from '../ops/segment-sum.ts';
import { BatchTensors } from './batch-tensors.ts';
import { responseHidden, responseLogps } from './forward.ts';
import type { StepMetrics } from './step-metrics.ts';

/** The models and the objective that programs are made of. */
export interface StepParts {
  readonly gpu: Gpu;
  readonly arena: Arena;
  readonly policy: Llama;
  /** Runs inside the step; absent when the log-probs come with the batch, or are not needed. */
  readonly liveReference: { readonly model: Llama; readonly adapter: boolean } | undefined;
  readonly objective: BoundObjective;
  readonly metrics: StepMetrics;
  readonly evalMetrics: StepMetrics;
  readonly recompute: boolean;
}

/** Log-probs and their gradients of a whole step, for objectives that are not separable. */
export class WholeStep {
  readonly batch: BatchTensors;
  readonly logps: Tensor;
  readonly refLogps: Tensor;
  readonly gradients: Tensor;
  readonly #gpu: Gpu;

  constructor(gpu: Gpu, largest: BatchShape) {
    this.#gpu = gpu;
    this.batch = new BatchTensors(gpu, largest);
    const make = (label: string) => allocateTensor(gpu, label, [largest.rows], 'f32', 'batch');
    this.logps = make('log-probs of the step');
    this.refLogps = make('reference log-probs of the step');
    this.gradients = make('dL/dlogp of the step');
  }

  free(): void {
    this.batch.free();
    for (const tensor of [this.logps, this.refLogps, this.gradients]) freeTensor(this.#gpu, tensor);
  }
}
