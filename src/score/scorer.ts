/**
 * Scores of pairs by a policy and, where there is one, a reference: token log-probs, weights and the terms that a method
 * logs. Programs are recorded once per shape bucket and replayed; the weights they read may be trained in between.
 */
import { type Tensor, whole } from '../autograd/tensor.ts';
import { Workspace } from '../autograd/workspace.ts';
import type { BatchShape } from '../data/batches.ts';
import type { PairExample } from '../data/examples.ts';
import type { Gpu } from '../gpu/device.ts';
import type { CausalLM } from '../models/causal-lm.ts';
import type { ActiveObjective } from '../objectives/choice.ts';
import type { ObjectiveState } from '../objectives/objective.ts';
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
  /** Also entropy, KL, ranks and most probable tokens. */
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
