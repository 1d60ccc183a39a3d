/** Scores pairs under the models of the page. Scorers are kept while their models stay as they are. */

import type { PairExample } from '../../src/data/examples.ts';
import { prepareDataset } from '../../src/data/prepare.ts';
import { PairScorer, type Vectors } from '../../src/evaluate/pair-scorer.ts';
import { type SideRecord, scoreRecords } from '../../src/evaluate/score-record.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import type { LoadedModel } from '../../src/models/load.ts';
import { type ActiveObjective, activate } from '../../src/objectives/registry.ts';
import { COLUMNS, STRIDE, TOP } from '../../src/ops/token-statistics.ts';
import { MemoryFiles } from '../../src/runtime/memory-files.ts';
import type { OpenModel } from './engine.ts';
import type {
  Candidate,
  MethodChoice,
  PairStatistics,
  PairText,
  ScoredPair,
  ScoredSide,
} from './protocol.ts';

/** Scorers that are kept; each holds the activations of one pair. */
const KEPT = 4;
/** A method whose per-pair beta tells its step. */
const EPSILON = { name: 'epsilon-dpo', settings: { beta: 1, epsilon: 0.1 } };

interface Kept {
  readonly key: string;
  readonly policy: LoadedModel;
  readonly reference: LoadedModel | undefined;
  readonly scorer: PairScorer;
}

export class ModelScorers {
  readonly #gpu: Gpu;
  #kept: Kept[] = [];

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** A model is freed: what was made for it goes, too. One that is trained needs nothing, its weights are read in place. */
  forget(model: LoadedModel): void {
    const gone = this.#kept.filter(({ policy, reference }) => policy === model || reference === model);
    for (const { scorer } of gone) scorer.free();
    this.#kept = this.#kept.filter((kept) => !gone.includes(kept));
  }

  async score(
    policy: OpenModel,
    reference: OpenModel | undefined,
    method: MethodChoice,
    pair: PairText,
    details: boolean,
  ): Promise<ScoredPair> {
    const objective = activate(method);
    const [example] = await examplesOf([pair], policy, objective.bmc?.diff ?? objective.needs.differences);
    const scorer = this.#scorer(policy, reference, method, objective, details);
    const vectors = await scorer.score([example]);
    const [record] = scoreRecords([example], vectors, policy.tokenizer, {
      objective,
      showWeights: objective.bmc !== undefined,
      showContributions: true,
    });
    const { tokenizer } = policy;
    const textOf = (id: number) => tokenizer.tokenText(id);
    const sideOf = (side: SideRecord, firstRow: number): ScoredSide => ({
      ...side,
      diff: side.diff.map((d) => (d === 1 ? 1 : 0)),
      truncated: 0,
      ...(details ? detailsOf(vectors, firstRow, side.token_ids.length, textOf) : {}),
    });
    const ids = Array.from(example.promptIds);
    const sum = (values: readonly number[] = []) => values.reduce((a, b) => a + b, 0);
    const sums = { chosen: sum(record.chosen.contributions), rejected: sum(record.rejected.contributions) };
    return {
      prompt: { token_ids: ids, tokens: ids.map(textOf) },
      chosen: sideOf(record.chosen, 0),
      rejected: sideOf(record.rejected, record.chosen.token_ids.length),
      margin: sums.chosen - sums.rejected,
      sums,
    };
  }

  /** @param first index of the first pair */
  async statistics(
    policy: OpenModel,
    reference: OpenModel,
    pairs: readonly PairText[],
    first: number,
  ): Promise<PairStatistics[]> {
    const objective = activate(EPSILON);
    const examples = await examplesOf(pairs, policy, undefined);
    const vectors = await this.#scorer(policy, reference, EPSILON, objective, false).score(examples);
    const records = scoreRecords(examples, vectors, policy.tokenizer, {
      objective,
      showWeights: false,
      showContributions: true,
    });
    return records.map(({ chosen, rejected }, i) => {
      const sum = (values: readonly number[] = []) => values.reduce((a, b) => a + b, 0);
      const mean = (values: readonly number[] = []) => sum(values) / Math.max(1, values.length);
      const K = mean(chosen.ref_logps) - mean(rejected.ref_logps);
      return {
        index: first + i,
        margin: sum(chosen.logps) - sum(chosen.ref_logps) - (sum(rejected.logps) - sum(rejected.ref_logps)),
        K,
        step: stepOf(chosen),
        flipped: mean(chosen.logps) > mean(rejected.logps) !== K > 0,
      };
    });
  }

  #scorer(
    policy: OpenModel,
    reference: OpenModel | undefined,
    method: MethodChoice,
    objective: ActiveObjective,
    details: boolean,
  ): PairScorer {
    const key = JSON.stringify([method, details]);
    const known = this.#kept.find(
      (k) => k.key === key && k.policy === policy.loaded && k.reference === reference?.loaded,
    );
    if (known !== undefined) return known.scorer;
    const parts = { policy: policy.loaded, reference: reference?.loaded, objective, details };
    const scorer = new PairScorer(this.#gpu, parts);
    this.#kept.unshift({ key, policy: parts.policy, reference: parts.reference, scorer });
    for (const { scorer: old } of this.#kept.splice(KEPT)) old.free();
    return scorer;
  }
}

/** beta_i is what a token's contribution is of its log ratio: 1 / (1 + e step). */
function stepOf({ logps, ref_logps = [], contributions = [] }: SideRecord): -1 | 0 | 1 {
  const ratios = logps.map((p, t) => p - ref_logps[t]);
  const largest = ratios.reduce((best, r, t) => (Math.abs(r) > Math.abs(ratios[best]) ? t : best), 0);
  if (ratios[largest] === 0) return 0;
  const step = (ratios[largest] / contributions[largest] - 1) / EPSILON.settings.epsilon;
  return Math.abs(step) < 0.5 ? 0 : step > 0 ? 1 : -1;
}

function detailsOf(vectors: Vectors, firstRow: number, rows: number, textOf: (id: number) => string) {
  const own = columnsOf(vectors.statistics, firstRow, rows, textOf);
  const other = columnsOf(vectors.refStatistics, firstRow, rows, textOf);
  return {
    entropy: own?.entropy,
    kl: vectors.refStatistics === undefined ? undefined : own?.kl,
    ranks: own?.rank,
    top: own?.top,
    ref_ranks: other?.rank,
    ref_top: other?.top,
  };
}

function columnsOf(
  statistics: Float32Array | undefined,
  firstRow: number,
  rows: number,
  textOf: (id: number) => string,
) {
  if (statistics === undefined) return undefined;
  const at = (row: number, column: number) => statistics[(firstRow + row) * STRIDE + column];
  const column = (name: keyof typeof COLUMNS) => Array.from({ length: rows }, (_, r) => at(r, COLUMNS[name]));
  const top = Array.from({ length: rows }, (_, r) =>
    Array.from({ length: TOP }, (_, i): Candidate => {
      const id = at(r, 4 + 2 * i);
      return { id, token: textOf(id), logp: at(r, 5 + 2 * i) };
    }),
  );
  return { entropy: column('entropy'), kl: column('kl'), rank: column('rank'), top };
}

/** Pairs as the model's tokenizer reads them. @throws InputError where an answer is empty or both are the same */
async function examplesOf(
  pairs: readonly PairText[],
  { tokenizer, loaded }: OpenModel,
  diff: 'levenshtein' | 'difflib' | undefined,
): Promise<PairExample[]> {
  const files = new MemoryFiles();
  files.add('pair.jsonl', pairs.map((pair) => JSON.stringify(pair)).join('\n'));
  const { examples } = await prepareDataset({
    files,
    path: 'pair.jsonl',
    tokenizer,
    columns: {},
    format: 'auto',
    expects: 'paired',
    maxLength: loaded.config.maxPositions,
    truncation: 'keep_start',
    diff: diff ?? 'levenshtein',
    modelVocabSize: loaded.config.vocabSize,
  });
  return examples.filter((example): example is PairExample => example.kind === 'pair');
}
