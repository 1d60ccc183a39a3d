/** Evaluation: the objective over rows that are not trained on, its metrics as means over all of them. */
import { allocateTensor, freeTensor, type Tensor, whole } from '../autograd/tensor.ts';
import { addShapes, type BatchShape, packBatch, shapeOf } from '../data/batches.ts';
import type { Example } from '../data/examples.ts';
import type { Program } from '../gpu/program.ts';
import type { ActiveObjective } from '../objectives/choice.ts';
import type { TrainConfig } from '../train/config.ts';
import type { HiddenStates } from '../train/hidden-states.ts';
import { BatchTensors, countsOf, joined } from './batch-tensors.ts';
import { layoutOf } from './layout.ts';
import { StepMetrics } from './metrics.ts';
import { bucketTokens, cutStep, type MicroBatch, planBuckets, slotsOf } from './micro-batches.ts';
import { batchFields, evaluationProgram, type PairGaps, type StepParts } from './programs.ts';
import { type PairGap, quintileGains } from './quintiles.ts';

/** Pairs that are evaluated together at most. */
const MAX_EXAMPLES = 64;

export interface EvaluatorParts {
  readonly config: TrainConfig;
  readonly objective: ActiveObjective;
  readonly examples: readonly Example[];
  /** Per example, where the objective needs them and they are known. */
  readonly referenceLogps: readonly Float32Array[] | undefined;
  readonly referenceHidden: HiddenStates | undefined;
}

interface Bucket {
  readonly batch: BatchTensors;
  readonly program: Program;
  readonly gaps: PairGaps | undefined;
}

export class Evaluator {
  readonly #stepParts: StepParts;
  readonly #parts: EvaluatorParts;
  readonly #metrics: StepMetrics;
  readonly #batches: readonly MicroBatch[];
  readonly #buckets: ReadonlyMap<number, Bucket>;

  /** Plans its programs into the arena of `stepParts`. */
  constructor(stepParts: StepParts, parts: EvaluatorParts) {
    const { gpu, objective, referenceHead } = stepParts;
    this.#stepParts = stepParts;
    this.#parts = parts;
    this.#metrics = new StepMetrics(gpu);
    const { length } = parts.examples;
    this.#batches = cutStep(slotsOf([...parts.examples.keys()], length), (slot) => this.#shapeOf([slot]), {
      stepSize: length,
      maxExamples: MAX_EXAMPLES,
      maxTokens: parts.config.training.max_tokens_per_micro_batch,
    });
    const pairs = objective.needs.rows !== 'chosen' && parts.examples.every((e) => e.kind === 'pair');
    const hasGaps = pairs && objective.needs.reference !== 'none';
    const fields = batchFields(stepParts);
    const capacities = planBuckets(this.#batches.map((batch) => this.#shapeOf(batch)));
    this.#buckets = new Map(
      [...capacities].map(([tokens, capacity]) => {
        const batch = new BatchTensors(gpu, capacity, fields, referenceHead?.weight.shape[1]);
        const vector = (label: string) => allocateTensor(gpu, label, [capacity.pairs], 'f32', 'batch');
        const gaps = hasGaps ? { reference: vector('K'), policy: vector('gap') } : undefined;
        const program = evaluationProgram(stepParts, batch, this.#metrics, pairs, gaps);
        return [tokens, { batch, program, gaps }];
      }),
    );
  }

  /** To be bound before the first run. */
  get programs(): Program[] {
    return [...this.#buckets.values()].map(({ program }) => program);
  }

  /** Means over all rows, named `eval_...`. */
  async run(): Promise<Record<string, number>> {
    const { examples } = this.#parts;
    const total: Record<string, number> = {};
    const pairs: PairGap[] = [];
    for (const batch of this.#batches) {
      const bucket = await this.#load(batch);
      bucket.program.run();
      const values = await this.#metrics.snapshot()();
      for (const [name, value] of Object.entries(values))
        total[name] = (total[name] ?? 0) + (value * batch.length) / examples.length;
      if (bucket.gaps !== undefined) {
        const [K, gap] = [await this.#read(bucket.gaps.reference), await this.#read(bucket.gaps.policy)];
        pairs.push(...batch.map((_, i) => ({ K: K[i], gap: gap[i] })));
      }
    }
    Object.assign(total, quintileGains(pairs));
    const named = Object.fromEntries(Object.entries(total).map(([name, value]) => [`eval_${name}`, value]));
    if ('eval_rewards/chosen' in named)
      named['eval_rewards/margins'] = named['eval_rewards/chosen'] - named['eval_rewards/rejected'];
    return named;
  }

  free(): void {
    const { gpu } = this.#stepParts;
    for (const { batch, gaps } of this.#buckets.values()) {
      batch.free();
      for (const tensor of Object.values(gaps ?? {})) freeTensor(gpu, tensor);
    }
    this.#metrics.free();
  }

  async #load(batch: MicroBatch): Promise<Bucket> {
    const { examples, referenceLogps, referenceHidden } = this.#parts;
    const bucket = this.#buckets.get(bucketTokens(this.#shapeOf(batch).tokens));
    if (bucket === undefined) throw new RangeError('No bucket was planned for an evaluation batch.');
    const indices = batch.map(({ example }) => example);
    const rows = indices.map((i) => examples[i]);
    const packed = packBatch(rows, bucket.batch.capacity, (n) => layoutOf(this.#parts, examples, batch[n]));
    bucket.batch.load(packed, {
      counts: countsOf(rows),
      refLogps: joined(indices.map((i) => referenceLogps?.[i])),
      refHidden: await referenceHidden?.read(indices),
    });
    return bucket;
  }

  #shapeOf(batch: MicroBatch): BatchShape {
    const { examples } = this.#parts;
    return batch
      .map((slot) => shapeOf(examples[slot.example], layoutOf(this.#parts, examples, slot)))
      .reduce(addShapes);
  }

  async #read(tensor: Tensor): Promise<Float32Array> {
    return new Float32Array(await this.#stepParts.gpu.read(whole(tensor)));
  }
}
