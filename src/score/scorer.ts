/**
 * Scores of pairs by a policy and, where there is one, a reference: token log-probs, weights and the terms that a method
 * logs. Programs are recorded once per shape bucket and replayed; the weights they read may be trained in between.
 */
import { type Tensor, whole } from '../autograd/tensor.ts';
import { Workspace } from '../autograd/workspace.ts';
import type { BatchShape } from '../data/batches.ts';
import type { PairExample } from '../data/examples.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { Gpu } from '../gpu/device.ts';
import type { CausalLM } from '../models/causal-lm.ts';
import type { ActiveObjective } from '../objectives/choice.ts';
import type { ObjectiveState } from '../objectives/objective.ts';
import { COLUMNS, STRIDE, TOP } from '../ops/logps/token-statistics.ts';
import { countsOf } from '../step/batch-tensors.ts';
import { BucketRunner } from '../step/bucket-runner.ts';
import type { FrozenModel } from '../step/forward.ts';
import { bucketTokens } from '../step/micro-batches.ts';
import { reserveState, resetState } from '../step/objective-state.ts';
import { type ScoreName, scoreProgram } from '../step/programs/score.ts';
import { batchFields } from '../step/programs/tokens.ts';
import { StepRows } from '../step/step-rows.ts';

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

interface Planned {
  readonly workspace: Workspace;
  readonly runner: BucketRunner<'score', Readonly<Partial<Record<ScoreName, Tensor>>>>;
}

export class Scorer {
  readonly #parts: ScorerParts;
  /** Its state is that before the first step. */
  readonly #state: ObjectiveState;
  readonly #memory: Workspace;
  /** By shape; each has memory of its own, since what shapes will come is not known. */
  readonly #planned = new Map<string, Planned>();

  constructor(parts: ScorerParts) {
    this.#parts = parts;
    this.#memory = new Workspace(parts.gpu);
    this.#state = reserveState(this.#memory, parts.objective);
    this.#memory.allocate();
    resetState(this.#memory, parts.objective, this.#state);
  }

  /** Scores at most PAIRS_TOGETHER pairs in one run. */
  async score(examples: readonly PairExample[]): Promise<Vectors> {
    const rows = new StepRows(examples);
    const shape = rows.shapeOf(rows.items);
    const { runner } = await this.#plannedFor(shape);
    const outputs = await runner.run('score', rows, rows.items, { counts: countsOf(examples) });
    const vectors: Vectors = {};
    for (const [key, tensor] of Object.entries(outputs)) {
      const name = key as ScoreName;
      const length = (PER_PAIR.includes(name) ? shape.pairs : shape.rows) * (tensor.shape[1] ?? 1);
      vectors[name] = new Float32Array(await this.#parts.gpu.read(whole(tensor), 0, 4 * length));
    }
    return vectors;
  }

  free(): void {
    for (const { workspace } of this.#planned.values()) workspace.free();
    this.#planned.clear();
    this.#memory.free();
  }

  async #plannedFor({ tokens, pairs }: BatchShape): Promise<Planned> {
    const size = bucketTokens(tokens);
    const capacity = { tokens: size, rows: size + 2 * PAIRS_TOGETHER, pairs };
    const key = `${size}/${pairs}`;
    const known = this.#planned.get(key);
    if (known !== undefined) return known;
    const workspace = new Workspace(this.#parts.gpu);
    const models = { ...this.#parts, workspace, referenceHead: undefined, state: this.#state };
    const wanted = this.#parts.details ? [...ALWAYS, ...STATISTICS] : ALWAYS;
    const runner = new BucketRunner(workspace, [capacity], { fields: batchFields(models) }, (batch) => {
      const { program, outputs } = scoreProgram(models, batch, wanted);
      return { programs: { score: program }, outputs };
    });
    await workspace.bind();
    const planned = { workspace, runner };
    this.#planned.set(key, planned);
    return planned;
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
