/**
 * Scores of pairs by a policy and, where there is one, a reference: token log-probs, weights and the terms that a method
 * logs. Programs are recorded once per shape bucket and replayed; the weights they read may be trained in between.
 */
import { allocateTensor, freeTensor, type Tensor, whole } from '../autograd/tensor.ts';
import { addShapes, type BatchShape, packBatch, shapeOf } from '../data/batches.ts';
import type { PairExample } from '../data/examples.ts';
import type { Gpu } from '../gpu/device.ts';
import { Arena } from '../gpu/planner.ts';
import type { Program } from '../gpu/program.ts';
import type { CausalLM } from '../models/causal-lm.ts';
import type { ActiveObjective } from '../objectives/choice.ts';
import { STRIDE } from '../ops/logps/token-statistics.ts';
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
