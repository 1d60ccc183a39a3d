/** A trainer on rows of token ids, without files of data: what tests of the training step start from. */

import {
  type Answer,
  carryWeights,
  chosenOnly,
  type Example,
  type PairExample,
} from '../../src/data/examples.ts';
import { normalAt, randomWord } from '../../src/data/random.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { type LoadedModel, type LoadOptions, loadModel } from '../../src/models/loading/load.ts';
import { activate } from '../../src/objectives/choice.ts';
import { type TrainConfigInput, trainingSettings } from '../../src/train/config.ts';
import { referenceFrom } from '../../src/train/reference-form.ts';
import { type QueuedStep, Trainer } from '../../src/train/trainer.ts';

export const TINY_LLAMA = 'test/fixtures/torch/tiny-llama';
export const TINY_VOCABULARY = 97;

export interface TrainerSetup {
  readonly objective: TrainConfigInput['objective'];
  readonly train: readonly Example[];
  readonly eval?: readonly Example[];
  readonly training?: TrainConfigInput['training'];
  readonly model?: string;
  readonly reference?: string;
  readonly mode?: 'auto' | 'in_step';
  readonly lora?: { readonly r: number; readonly alpha: number; readonly targetModules: readonly string[] };
  readonly dtype?: LoadOptions['dtype'];
  /** A policy that is loaded already. With LoRA its base weights are the reference. */
  readonly policy?: LoadedModel;
  readonly seed?: number;
}

/** Opens and warms up. Full fine-tuning of the tiny Llama unless told otherwise; the reference is the model itself. */
export async function openTrainer(gpu: Gpu, setup: TrainerSetup): Promise<Trainer> {
  const { model = TINY_LLAMA, dtype = 'f32', lora, seed = 42 } = setup;
  const dataWeights = carryWeights([...setup.train, ...(setup.eval ?? [])]);
  const objective = activate({ ...setup.objective, dataWeights });
  const steady = { lr_scheduler_type: 'constant', warmup_ratio: 0 } as const;
  const training = trainingSettings({ ...steady, ...setup.training }, objective.name);
  const policy =
    setup.policy ?? (await loadModel(gpu, model, { train: lora ?? 'full', dtype, positions: 256 }));
  const isOwn = policy.lora !== undefined && setup.reference === undefined;
  // One that moves is kept in f32.
  const held = objective.needs.referenceUpdate === undefined ? dtype : 'f32';
  const other = () =>
    loadModel(gpu, setup.reference ?? model, {
      train: 'none',
      dtype: held,
      positions: 256,
      exactDType: policy.lora === undefined,
    });
  const loaded = objective.needs.reference === 'none' || isOwn ? policy : await other();
  const learned = (examples: readonly Example[]) =>
    objective.needs.rows === 'chosen' ? examples.map(chosenOnly) : examples;
  const data = { train: learned(setup.train), eval: learned(setup.eval ?? []) };
  const trainer = Trainer.open({
    gpu,
    objective,
    policy,
    reference: await referenceFrom(gpu, objective.needs, { loaded, adapter: false }, data, {
      maxTokens: training.max_tokens_per_micro_batch,
      mode: setup.mode,
    }),
    ...data,
    training,
    seed,
  });
  await trainer.warmUp();
  return trainer;
}

/** Runs so many optimizer steps, as the loop does: one is queued while the one before is under way. */
export async function runSteps(trainer: Trainer, steps: number): Promise<Record<string, number>[]> {
  const queued: QueuedStep[] = [];
  for (let i = 0; i < steps; i++) queued.push(await trainer.enqueueStep());
  const reports = await Promise.all(queued.map(({ report }) => report));
  return reports.map(({ metrics }) => metrics);
}

/** A pair of given token ids. */
export function pairOf(
  prompt: readonly number[],
  chosen: readonly number[],
  rejected: readonly number[],
  index = 0,
): PairExample {
  const answer = (ids: readonly number[], other: readonly number[]): Answer => ({
    ids: Int32Array.from(ids),
    diff: Uint8Array.from(ids, (id, i) => (id === other[i] ? 0 : 1)),
  });
  return {
    kind: 'pair',
    index,
    line: index + 1,
    promptIds: Int32Array.from(prompt),
    chosen: answer(chosen, rejected),
    rejected: answer(rejected, chosen),
    truncated: false,
  };
}

/** Seeded pairs: BOS, then prompts and answers of random ids and of lengths between the given ones. */
export function randomPairs(count: number, seed: number, shortest: number, longest: number): PairExample[] {
  const length = (stream: number, i: number) =>
    shortest + (randomWord(seed, stream, i) % (longest - shortest + 1));
  const ids = (stream: number, n: number) =>
    Array.from({ length: n }, (_, t) => 3 + (randomWord(seed, stream, t) % (TINY_VOCABULARY - 3)));
  return Array.from({ length: count }, (_, i) =>
    pairOf(
      [1, ...ids(100 + 3 * i, length(0, i) - 1)],
      ids(101 + 3 * i, length(1, i)),
      ids(102 + 3 * i, length(2, i)),
      i,
    ),
  );
}

/** Standard normal numbers, seeded. */
export function normals(seed: number, count: number): Float64Array {
  return Float64Array.from({ length: count }, (_, i) => normalAt(seed, 0, i));
}
