/** What is trained: sizes, methods and the settings that are searched. */
import type { TrainConfigInput } from '../../src/index.ts';

/** Counts of problems, pairs and runs; every part draws its problems from a seed of its own. */
export interface Size {
  readonly name: 'quick' | 'standard' | 'full';
  /** Solutions that the base model learns from. */
  readonly sftRows: number;
  /** Problems that the base model answers; its wrong answers become the pairs. */
  readonly pool: number;
  /** Of the pairs, those that are held out for figures. */
  readonly heldOutPairs: number;
  readonly validation: number;
  readonly test: number;
  readonly epochs: number;
  readonly methods: readonly Method[];
  readonly learningRates: readonly number[];
  readonly seeds: readonly number[];
  readonly shares: readonly number[];
  readonly deltas: readonly number[];
  /** What a watched run is evaluated on along the way: validation problems, and prompts sampled for KL. */
  readonly watched: { readonly problems: number; readonly prompts: number };
}

export interface Method {
  readonly name: string;
  /** Column of the answer that is preferred: the ground truth, or the edit of the model's own answer. */
  readonly chosen: 'chosen' | 'chosen_bridged';
  readonly objective: TrainConfigInput['objective'];
  /** One of its runs is evaluated on the way, for figures over the steps. */
  readonly isWatched?: boolean;
}

const BETA = 0.1;
const dpo = { name: 'dpo', settings: { beta: BETA } };
export const DELTA = 3;

const METHODS: readonly Method[] = [
  { name: 'SFT', chosen: 'chosen', objective: { name: 'sft' } },
  { name: 'DPO', chosen: 'chosen', objective: dpo, isWatched: true },
  { name: 'DPO-BC', chosen: 'chosen_bridged', objective: dpo },
  { name: 'DPO-MC', chosen: 'chosen', objective: withDelta(DELTA) },
  { name: 'DPO-BMC', chosen: 'chosen_bridged', objective: withDelta(DELTA), isWatched: true },
  { name: 'MIPO', chosen: 'chosen', objective: { name: 'mipo', settings: { beta: 5 } }, isWatched: true },
  {
    name: 'epsilon-DPO',
    chosen: 'chosen',
    objective: { name: 'epsilon-dpo', settings: { beta: BETA, epsilon: 0.01 } },
    isWatched: true,
  },
];

const MORE_METHODS: readonly Method[] = [
  { name: 'IPO', chosen: 'chosen', objective: { name: 'ipo' } },
  { name: 'SimPO', chosen: 'chosen', objective: { name: 'simpo' } },
  { name: 'KTO', chosen: 'chosen', objective: { name: 'kto' } },
  { name: 'ORPO', chosen: 'chosen', objective: { name: 'orpo' } },
];

/** DPO with BMC's token weights. */
export function withDelta(delta: number): Method['objective'] {
  return { ...dpo, bmc: { delta } };
}

const STANDARD: Size = {
  name: 'standard',
  sftRows: 8000,
  pool: 1200,
  heldOutPairs: 60,
  validation: 200,
  test: 400,
  epochs: 1,
  methods: METHODS,
  learningRates: [2e-6, 5e-6, 1e-5],
  seeds: [1, 2, 3],
  shares: [0, 0.25, 0.5, 0.75],
  deltas: [1, 2],
  watched: { problems: 100, prompts: 16 },
};

export const SIZES: Readonly<Record<Size['name'], Size>> = {
  quick: {
    ...STANDARD,
    name: 'quick',
    sftRows: 2400,
    pool: 64,
    heldOutPairs: 12,
    validation: 32,
    test: 32,
    epochs: 1,
    learningRates: [5e-5],
    seeds: [1, 2],
    shares: [0.5],
    deltas: [1],
    watched: { problems: 16, prompts: 4 },
  },
  standard: STANDARD,
  full: {
    ...STANDARD,
    name: 'full',
    pool: 3000,
    test: 1000,
    methods: [...METHODS, ...MORE_METHODS],
    shares: [0, 0.2, 0.4, 0.6, 0.8],
    deltas: [1, 1.5, 2, 2.5, 3.5],
  },
};

/** Seeds of the problems: training, pairs, validation and test have none in common but by chance. */
export const PROBLEM_SEEDS = { sft: 1, pool: 2, validation: 3, test: 4 };
