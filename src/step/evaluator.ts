/** Evaluation: the objective over rows that are not trained on, its metrics as means over all of them. */
import { type Tensor, whole } from '../autograd/tensor.ts';
import { gatherValues } from '../runtime/ranks.ts';
import { countsOf } from './batch-tensors.ts';
import { BucketRunner } from './bucket-runner.ts';
import { StepMetrics } from './metrics.ts';
import { cutStep, type MicroBatch, planBuckets } from './micro-batches.ts';
import { evaluationProgram, type PairGaps } from './programs/evaluate.ts';
import { batchFields, type StepModels } from './programs/tokens.ts';
import { type PairGap, quintileGains } from './quintiles.ts';
import { addRewardMargins } from './reward-margins.ts';
import type { StepRows } from './step-rows.ts';

/** Pairs that are evaluated together at most. */
const MAX_EXAMPLES = 64;

/** What one batch gives. */
interface BatchValues {
  readonly values: Readonly<Record<string, number>>;
  readonly pairs: readonly PairGap[];
}

export class Evaluator {
  readonly #models: StepModels;
  readonly #rows: StepRows;
  readonly #metrics: StepMetrics;
  readonly #batches: readonly MicroBatch[];
  readonly #runner: BucketRunner<'evaluate', PairGaps | undefined>;

  /** Plans its programs into the workspace of `models`. */
  constructor(models: StepModels, rows: StepRows, maxTokens: number) {
    const { workspace, objective, referenceHead } = models;
    this.#models = models;
    this.#rows = rows;
    this.#metrics = new StepMetrics(workspace);
    const limits = { stepSize: rows.examples.length, maxExamples: MAX_EXAMPLES, maxTokens };
    this.#batches = cutStep(rows.items, (item) => rows.shapeOf([item]), limits);
    const arePairs = objective.needs.rows !== 'chosen' && rows.examples.every((e) => e.kind === 'pair');
    const hasGaps = arePairs && objective.needs.reference !== 'none';
    const capacities = planBuckets(this.#batches.map((batch) => rows.shapeOf(batch))).values();
    const options = { fields: batchFields(models), refWidth: referenceHead?.weight.shape[1] };
    this.#runner = new BucketRunner(workspace, capacities, options, (batch) => {
      const vector = (label: string) => workspace.tensor(label, [batch.capacity.pairs], 'f32', 'batch');
      const gaps = hasGaps ? { reference: vector('K'), policy: vector('gap') } : undefined;
      const evaluate = evaluationProgram(models, batch, this.#metrics, arePairs, gaps);
      return { programs: { evaluate }, outputs: gaps };
    });
  }

  /**
   * Means over all rows, named `eval_...`. The batches of a separable objective are parts of one sum, as micro-batches of a
   * step are, so that means over tokens weigh every token the same; others see a batch as a whole, and batches count by their rows.
   * Ranks take one batch each in turn.
   */
  async run(): Promise<Record<string, number>> {
    const { examples } = this.#rows;
    const { separable } = this.#models.objective;
    const ofAll = countsOf(examples);
    const { ranks } = this.#models.workspace.gpu.runtime;
    const own: BatchValues[] = [];
    for (const batch of this.#batches.filter((_, i) => i % ranks.size === ranks.rank)) {
      const counts = separable ? ofAll : countsOf(this.#rows.examplesOf(batch));
      const gaps = await this.#runner.run('evaluate', this.#rows, batch, { counts });
      const values = await this.#metrics.snapshot();
      own.push({ values, pairs: gaps === undefined ? [] : await this.#pairsOf(batch, gaps) });
    }
    const ofRanks = await gatherValues(ranks, own);
    const total: Record<string, number> = {};
    const pairs: PairGap[] = [];
    for (const [i, batch] of this.#batches.entries()) {
      const share = batch.length / examples.length;
      const of = ofRanks[i % ranks.size][Math.floor(i / ranks.size)];
      for (const [name, value] of Object.entries(of.values))
        total[name] = (total[name] ?? 0) + value * (separable && !this.#metrics.isSet(name) ? 1 : share);
      pairs.push(...of.pairs);
    }
    Object.assign(total, quintileGains(pairs));
    const named = Object.fromEntries(Object.entries(total).map(([name, value]) => [`eval_${name}`, value]));
    addRewardMargins(named, 'eval_');
    return named;
  }

  async #pairsOf(batch: MicroBatch, gaps: PairGaps): Promise<PairGap[]> {
    const [K, gap] = [await this.#read(gaps.reference), await this.#read(gaps.policy)];
    return batch.map((_, i) => ({ K: K[i], gap: gap[i] }));
  }

  async #read(tensor: Tensor): Promise<Float32Array> {
    return new Float32Array(await this.#models.workspace.gpu.read(whole(tensor)));
  }
}
