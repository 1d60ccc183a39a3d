/**
 * Scores of pairs by a policy and, where there is one, a reference: token log-probs, weights and the terms that a method
 * logs. Programs are recorded once per shape bucket and replayed; the weights they read may be trained in between.
 */
import { allocateTensor, freeTensor, type Tensor, whole } from '../autograd/tensor.ts';
import { addShapes, type BatchShape, packBatch, shapeOf } from '../data/batches.ts';
import type { PairExample } from '../data/examples.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { Gpu } from '../gpu/device.ts';
import { Arena } from '../gpu/planner.ts';
import type { Program } from '../gpu/program.ts';
import type { CausalLM } from '../models/causal-lm.ts';
import type { ActiveObjective } from '../objectives/choice.ts';
import { COLUMNS, STRIDE, TOP } from '../ops/logps/token-statistics.ts';
import { BatchTensors, countsOf } from '../step/batch-tensors.ts';
import type { FrozenModel } from '../step/forward.ts';
import { bucketTokens } from '../step/micro-batches.ts';
import { batchFields, type ScoreName, scoreProgram } from '../step/programs.ts';

/** Pairs scored together; one program serves every batch of a bucket. */
export const PAIRS_TOGETHER = 8;

export interface ScorerParts {
  readonly gpu: Gpu;
  readonly policy: CausalLM;
  readonly reference: FrozenModel | undefined;
  readonly objective: ActiveObjective;
  /** Also entropy, KL, ranks and likeliest tokens. */
  readonly details: boolean;
}

/** What a batch gave, by name: one number per token in packed order (or STRIDE of them), or one per pair. */
export type Vectors = Partial<Record<ScoreName, Float32Array>>;

const PER_PAIR: readonly ScoreName[] = ['losses', 'steps'];
const STATISTICS: readonly ScoreName[] = ['statistics', 'refStatistics'];
const ALWAYS: readonly ScoreName[] = ['logps', 'refLogps', 'weights', 'contributions', ...PER_PAIR];

interface Bucket {
  readonly batch: BatchTensors;
  readonly arena: Arena;
  readonly program: Program;
  readonly outputs: Partial<Record<ScoreName, Tensor>>;
}

export class Scorer {
  readonly #parts: ScorerParts;
  readonly #state: Readonly<Record<string, Tensor>>;
  readonly #buckets = new Map<string, Bucket>();

  constructor(parts: ScorerParts) {
    this.#parts = parts;
    const { gpu, objective } = parts;
    this.#state = Object.fromEntries(
      Object.entries(objective.initState).map(([name, value]) => {
        const tensor = allocateTensor(gpu, name, [1], 'f32', 'state');
        gpu.write(whole(tensor), new Float32Array([value]));
        return [name, tensor];
      }),
    );
  }

  /** Scores at most PAIRS_TOGETHER pairs in one run. */
  async score(examples: readonly PairExample[]): Promise<Vectors> {
    const shape = examples.map((e) => shapeOf(e)).reduce(addShapes);
    const { batch, program, outputs } = await this.#bucket(shape);
    batch.load(packBatch(examples, batch.capacity), { counts: countsOf(examples) });
    program.run();
    const vectors: Vectors = {};
    for (const [key, tensor] of Object.entries(outputs)) {
      const name = key as ScoreName;
      const length = PER_PAIR.includes(name)
        ? examples.length
        : shape.rows * (STATISTICS.includes(name) ? STRIDE : 1);
      vectors[name] = new Float32Array(await this.#parts.gpu.read(whole(tensor), 0, 4 * length));
    }
    return vectors;
  }

  free(): void {
    const { gpu } = this.#parts;
    for (const { batch, arena, outputs } of this.#buckets.values()) {
      batch.free();
      arena.free();
      for (const tensor of Object.values(outputs)) freeTensor(gpu, tensor);
    }
    this.#buckets.clear();
    for (const tensor of Object.values(this.#state)) freeTensor(gpu, tensor);
  }

  async #bucket({ tokens, pairs }: BatchShape): Promise<Bucket> {
    const size = bucketTokens(tokens);
    const capacity = { tokens: size, rows: size + 2 * PAIRS_TOGETHER, pairs };
    const key = `${size}/${pairs}`;
    const known = this.#buckets.get(key);
    if (known !== undefined) return known;
    const { gpu, details } = this.#parts;
    const batch = new BatchTensors(gpu, capacity, batchFields(this.#parts));
    const outputs: Partial<Record<ScoreName, Tensor>> = {};
    for (const name of details ? [...ALWAYS, ...STATISTICS] : ALWAYS) {
      const perToken = STATISTICS.includes(name) ? [capacity.rows, STRIDE] : [capacity.rows];
      outputs[name] = allocateTensor(gpu, name, PER_PAIR.includes(name) ? [pairs] : perToken, 'f32', 'batch');
    }
    const arena = new Arena(gpu.memory);
    const { program, written } = scoreProgram({ ...this.#parts, arena, state: this.#state }, batch, outputs);
    arena.allocate();
    await program.bind();
    for (const [name, tensor] of Object.entries(outputs)) {
      if (written.has(name as ScoreName)) continue;
      freeTensor(gpu, tensor);
      delete outputs[name as ScoreName];
    }
    const bucket = { batch, arena, program, outputs };
    this.#buckets.set(key, bucket);
    return bucket;
  }
}

/** One of the likeliest next tokens. */
export interface Candidate {
  readonly id: number;
  readonly token: string;
  readonly logp: number;
}

/** One answer of a scored pair; every array has one entry per response token. */
export interface ScoredAnswer {
  readonly token_ids: number[];
  readonly tokens: string[];
  readonly logps: number[];
  readonly ref_logps?: number[];
  /** 1 where the token differs from the other answer. */
  readonly diff: (0 | 1)[];
  readonly weights?: number[];
  /** beta (logp - ref_logp); the objective's scale in place of beta. */
  readonly rewards?: number[];
  /** Terms whose sum is the reward that the method logs. */
  readonly contributions?: number[];
  /** Nats. */
  readonly entropy?: number[];
  /** KL(policy || reference), nats. */
  readonly kl?: number[];
  /** 0 is the likeliest. */
  readonly ranks?: number[];
  readonly ref_ranks?: number[];
  readonly top?: Candidate[][];
  readonly ref_top?: Candidate[][];
}

export interface ScoreRecord {
  readonly prompt: { readonly token_ids: number[] };
  readonly chosen: ScoredAnswer;
  readonly rejected: ScoredAnswer;
  /** Sum of chosen rewards minus sum of rejected ones. */
  readonly margin?: number;
}

/** What of the vectors a record shows. */
export interface Shown {
  readonly weights: boolean;
  readonly contributions: boolean;
}

/** The records of a batch, in order. */
export function scoreRecords(
  examples: readonly PairExample[],
  vectors: Vectors,
  tokenizer: Tokenizer,
  { rewardScale }: ActiveObjective,
  shown: Shown,
): ScoreRecord[] {
  let row = 0;
  return examples.map((example) => {
    const answer = ({ ids, diff }: PairExample['chosen']): ScoredAnswer => {
      const [start, end] = [row, row + ids.length];
      row = end;
      const part = (vector: Float32Array | undefined) =>
        vector === undefined ? undefined : Array.from(vector.subarray(start, end));
      const [logps, refLogps] = [part(vectors.logps) ?? [], part(vectors.refLogps)];
      return {
        token_ids: Array.from(ids),
        tokens: Array.from(ids, (id) => tokenizer.tokenText(id)),
        logps,
        ref_logps: refLogps,
        diff: Array.from(ids, (_, t) => (diff?.[t] === 1 ? 1 : 0)),
        weights: shown.weights ? part(vectors.weights) : undefined,
        rewards: refLogps?.map((ref, t) => rewardScale * (logps[t] - ref)),
        contributions: shown.contributions ? part(vectors.contributions) : undefined,
        ...details(vectors, start, end, tokenizer),
      };
    };
    const chosen = answer(example.chosen);
    const rejected = answer(example.rejected);
    const margin =
      chosen.rewards === undefined || rejected.rewards === undefined
        ? undefined
        : sum(chosen.rewards) - sum(rejected.rewards);
    return { prompt: { token_ids: Array.from(example.promptIds) }, chosen, rejected, margin };
  });
}

/** The columns of the token statistics, from row `start` to `end`. */
function details(
  { statistics, refStatistics }: Vectors,
  start: number,
  end: number,
  tokenizer: Tokenizer,
): Pick<ScoredAnswer, 'entropy' | 'kl' | 'ranks' | 'ref_ranks' | 'top' | 'ref_top'> {
  if (statistics === undefined) return {};
  const rows = Array.from({ length: end - start }, (_, t) => start + t);
  const column = (values: Float32Array, name: keyof typeof COLUMNS) =>
    rows.map((row) => values[row * STRIDE + COLUMNS[name]]);
  const likeliest = (values: Float32Array) =>
    rows.map((row) =>
      Array.from({ length: TOP }, (_, i): Candidate => {
        const at = row * STRIDE + STRIDE - 2 * TOP + 2 * i;
        return { id: values[at], token: tokenizer.tokenText(values[at]), logp: values[at + 1] };
      }),
    );
  return {
    entropy: column(statistics, 'entropy'),
    ranks: column(statistics, 'rank'),
    top: likeliest(statistics),
    ...(refStatistics && {
      kl: column(statistics, 'kl'),
      ref_ranks: column(refStatistics, 'rank'),
      ref_top: likeliest(refStatistics),
    }),
  };
}

export function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
