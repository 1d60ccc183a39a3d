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
import { type TrainConfigInput, trainConfigFrom } from '../../src/train/config.ts';
import { needsLiveReference, needsReferenceLogps, Trainer } from '../../src/train/trainer.ts';

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
  const { model = TINY_LLAMA, dtype = 'f32', lora } = setup;
  const config = trainConfigFrom({
    model: { path: model },
    objective: setup.objective,
    reference: { mode: setup.mode },
    data: { train: 'rows', max_length: 256 },
    training: { lr_scheduler_type: 'constant', warmup_ratio: 0, ...setup.training },
    output_dir: 'unused',
    seed: setup.seed,
  });
  const dataWeights = carryWeights(setup.train);
  const objective = activate({ ...config.objective, dataWeights });
  const learned = (examples: readonly Example[]) =>
    objective.needs.rows === 'chosen' ? examples.map(chosenOnly) : examples;
  const policy =
    setup.policy ?? (await loadModel(gpu, model, { train: lora ?? 'full', dtype, positions: 256 }));
  const needsReference =
    needsLiveReference({ objective, config }) || needsReferenceLogps({ objective, config });
  const isOwn = policy.lora !== undefined && setup.reference === undefined;
  const other = () => loadModel(gpu, setup.reference ?? model, { train: 'none', dtype, positions: 256 });
  const loaded = needsReference ? (isOwn ? policy : await other()) : undefined;
  const trainer = await Trainer.open(
    {
      gpu,
      config,
      objective,
      policy,
      reference: loaded && { loaded, adapter: false },
      train: learned(setup.train),
      eval: learned(setup.eval ?? []),
    },
    () => {},
  );
  await trainer.warmUp();
  return trainer;
}

/** Runs so many optimizer steps. */
export async function runSteps(trainer: Trainer, steps: number): Promise<Record<string, number>[]> {
  const reports = [];
  for (let i = 0; i < steps; i++) reports.push(await trainer.runStep());
  reports.push(await trainer.flush());
  return reports.filter((report) => report !== undefined).map(({ metrics }) => metrics);
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
