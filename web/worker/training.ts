/** A training run that the page drives step by step; the trainer is the command line's. */
import {
  activate,
  chosenOnly,
  type Example,
  type Gpu,
  type LoadedModel,
  loadModel,
  loadWithAdapter,
  referenceFrom,
  Trainer,
  tokenizePair,
  trainingSettings,
} from '../../src/engine.ts';
import { InputError } from '../../src/index.ts';
import type { Slot } from './engine.ts';
import type { StepReport, TrainRequest } from './protocol.ts';

export interface Training {
  readonly request: TrainRequest;
  readonly policy: LoadedModel;
  readonly isFinished: boolean;
  step(): Promise<Pick<StepReport, 'step' | 'metrics' | 'tokensPerSecond'>>;
  /** Frees the policy too. */
  free(): void;
}

/**
 * All weights of the start are trained, or the adapter where it has one; the start itself is the reference.
 * What the request does not say is as `prefgrad train` has it by default.
 */
export async function openTraining(
  gpu: Gpu,
  start: Slot,
  request: TrainRequest,
  note: (line: string) => void,
): Promise<Training> {
  const { vocabSize, maxPositions } = start.loaded.config;
  const { name, settings, bmc } = request.method;
  const objective = activate({ name, settings, bmc });
  const training = trainingSettings(
    {
      learning_rate: request.learningRate,
      max_steps: request.steps,
      per_device_train_batch_size: request.batchSize,
      gradient_checkpointing: false,
    },
    name,
  );
  const limits = { maxPositions, vocabSize, diff: objective.needs.differences ?? 'levenshtein' } as const;
  const train = examplesOf(start, request, limits, objective.needs.rows === 'chosen');
  const isAdapter = start.adapter !== undefined;
  const live = objective.needs.referenceUpdate !== undefined;
  if (live && isAdapter)
    throw new InputError(`${name} moves its reference, so it trains all weights; start from a whole model.`);
  const load = (train: 'full' | 'none') =>
    loadModel(gpu, start.directory, {
      train,
      dtype: train === 'none' ? 'f32' : 'auto',
      positions: maxPositions,
    });
  const policy = isAdapter
    ? await loadWithAdapter(gpu, start.directory, start.adapter, maxPositions)
    : await load('full');
  const moving = live ? await load('none') : undefined;
  const reference = await referenceFrom(
    gpu,
    objective.needs,
    { loaded: moving ?? start.loaded, adapter: isAdapter },
    { train },
    { maxTokens: training.max_tokens_per_micro_batch, note },
  );
  const trainer = Trainer.open({ gpu, objective, policy, reference, train, training, seed: request.seed });
  await trainer.warmUp();
  return {
    request,
    policy,
    get isFinished() {
      return trainer.step >= trainer.totalSteps;
    },
    async step() {
      if (trainer.step >= trainer.totalSteps)
        throw new InputError(`All ${trainer.totalSteps} steps are done. Reset the run to start again.`);
      const tokens = trainer.plan.tokensOf(trainer.step);
      const started = performance.now();
      const { step, metrics } = await trainer.runStep();
      const seconds = Math.max(1e-3, (performance.now() - started) / 1000);
      return { step, metrics, tokensPerSecond: tokens / seconds };
    },
    free() {
      trainer.free();
      moving?.free();
      policy.free();
    },
  };
}

/** @throws InputError when no pair is left. Pairs that cannot be trained on are left out, as in a file. */
function examplesOf(
  start: Slot,
  { pairs }: TrainRequest,
  limits: Parameters<typeof tokenizePair>[2],
  onlyChosen: boolean,
): Example[] {
  const examples: Example[] = [];
  for (const [i, pair] of pairs.entries()) {
    try {
      const { example } = tokenizePair(start.tokenizer, pair, limits, i + 1);
      const made = { ...example, index: examples.length };
      examples.push(onlyChosen ? chosenOnly(made) : made);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
    }
  }
  if (examples.length === 0) throw new InputError('None of the pairs can be trained on.');
  return examples;
}
