/** Token log-probs, weights, contributions and, on request, statistics of packed pairs under a policy and a reference. */
import { allocateTensor, freeTensor, type Tensor, whole } from '../autograd/tensor.ts';
import { addShapes, type BatchShape, packBatch, shapeOf } from '../data/batches.ts';
import type { PairExample } from '../data/examples.ts';
import type { Gpu } from '../gpu/device.ts';
import { Arena } from '../gpu/planner.ts';
import type { Program } from '../gpu/program.ts';
import type { LoadedModel } from '../models/load.ts';
import type { ActiveObjective } from '../objectives/registry.ts';
import { STRIDE } from '../ops/token-statistics.ts';
import { BatchTensors } from '../train/batch-tensors.ts';
import { bucketTokens } from '../train/micro-batches.ts';
import { scoreProgram } from '../train/step-programs.ts';

/** Rows scored together; one program serves every batch of a bucket. */
export const ROWS_TOGETHER = 8;

/** Numbers per response token of everything that is read back; see ops/token-statistics.ts for the last two. */
const WIDTHS = {
  logps: 1,
  refLogps: 1,
  weights: 1,
  contributions: 1,
  statistics: STRIDE,
  refStatistics: STRIDE,
};

/** What is known per response token of a batch, in packed order. */
export type Vectors = Partial<Record<keyof typeof WIDTHS, Float32Array>>;

export interface ScorerParts {
  readonly policy: LoadedModel;
  readonly reference: LoadedModel | undefined;
  readonly objective: ActiveObjective;
  /** Also entropy, KL, ranks and likeliest words. */
  readonly details?: boolean;
}

export class PairScorer {
  readonly policy: LoadedModel;
  readonly #gpu: Gpu;
  readonly #reference: LoadedModel | undefined;
  readonly #objective: ActiveObjective;
  readonly #details: boolean;
  readonly #state: Record<string, Tensor>;
  readonly #buckets = new Map<
    string,
    { batch: BatchTensors; program: Program; outputs: Readonly<Record<string, Tensor>>; arena: Arena }
  >();

  constructor(gpu: Gpu, { policy, reference, objective, details = false }: ScorerParts) {
    this.#gpu = gpu;
    this.policy = policy;
    this.#reference = reference;
    this.#objective = objective;
    this.#details = details;
    this.#state = {};
    for (const [name, value] of Object.entries(objective.initState)) {
      const tensor = allocateTensor(gpu, name, [1], 'f32', 'state');
      gpu.write(whole(tensor), new Float32Array([value]));
      this.#state[name] = tensor;
    }
  }

  /** Token vectors of a batch, over its rows in packed order. */
  async score(examples: readonly PairExample[]): Promise<Vectors> {
    const shape = examples.map((e) => shapeOf(e)).reduce(addShapes);
    const bucket = await this.#bucket(shape);
    const counts = { pairs: examples.length, chosenTokens: 1, answers: 2 * examples.length };
    bucket.batch.load(packBatch(examples, bucket.batch.capacity), { counts });
    bucket.program.run();
    const vectors: Vectors = {};
    for (const [name, tensor] of Object.entries(bucket.outputs)) {
      vectors[name as keyof Vectors] = new Float32Array(
        await this.#gpu.read(whole(tensor), 0, 4 * shape.rows * WIDTHS[name as keyof Vectors]),
      );
    }
    return vectors;
  }

  async #bucket({ tokens, pairs }: BatchShape) {
    const capacity = { tokens: bucketTokens(tokens), rows: bucketTokens(tokens) + 2 * ROWS_TOGETHER, pairs };
    const key = `${capacity.tokens}/${pairs}`;
    const known = this.#buckets.get(key);
    if (known !== undefined) return known;
    const batch = new BatchTensors(this.#gpu, capacity);
    const outputs: Record<string, Tensor> = {};
    for (const [name, width] of Object.entries(WIDTHS)) {
      const shape = width === 1 ? [capacity.rows] : [capacity.rows, width];
      outputs[name] = allocateTensor(this.#gpu, name, shape, 'f32', 'batch');
    }
    const arena = new Arena(this.#gpu.memory);
    const reference = this.#reference && { model: this.#reference.model, adapter: false };
    const parts = {
      gpu: this.#gpu,
      arena,
      policy: this.policy.model,
      reference,
      objective: this.#objective,
      state: this.#state,
      details: this.#details,
    };
    const { program, written } = scoreProgram(parts, batch, outputs);
    arena.allocate();
    await program.bind();
    for (const [name, tensor] of Object.entries(outputs)) {
      if (written.has(name)) continue;
      freeTensor(this.#gpu, tensor);
      delete outputs[name];
    }
    const bucket = { batch, program, outputs, arena };
    this.#buckets.set(key, bucket);
    return bucket;
  }

  /** Frees everything but the models. */
  free(): void {
    for (const { batch, outputs, arena } of this.#buckets.values()) {
      batch.free();
      for (const tensor of Object.values(outputs)) freeTensor(this.#gpu, tensor);
      arena.free();
    }
    this.#buckets.clear();
    for (const tensor of Object.values(this.#state)) freeTensor(this.#gpu, tensor);
  }
}
