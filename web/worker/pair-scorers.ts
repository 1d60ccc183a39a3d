/** Scorers of the page's models, kept while they are in use, and what they give as records of the page. */
import {
  type ActiveObjective,
  epsilonSteps,
  type Gpu,
  PAIRS_TOGETHER,
  type PairExample,
  type ScoredAnswer,
  Scorer,
  scoreRecords,
  sum,
  type Tokenizer,
  tokenizePair,
} from '../../src/engine.ts';
import { InputError } from '../../src/index.ts';
import type { Slot } from './model-slots.ts';
import type { PairStatistics, PairText, ScoredPair, ScoredSide, ScoreRequest } from './protocol.ts';

/** Scorers that are kept; each holds the buffers of its shape buckets. */
const KEPT = 4;

interface Models {
  readonly policy: Slot;
  readonly reference: Slot | undefined;
}

export class PairScorers {
  static readonly groupSize = PAIRS_TOGETHER;
  readonly #gpu: Gpu;
  /** By what they were made of; the one used last stands last. */
  readonly #scorers = new Map<
    string,
    { readonly scorer: Scorer; readonly slots: readonly (string | undefined)[] }
  >();

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  async score(request: ScoreRequest, models: Models, objective: ActiveObjective): Promise<ScoredPair> {
    const { policy, reference, method, details } = request;
    const { tokenizer } = models.policy;
    checkTokenizers(request, models);
    const { example, cut } = tokenizePair(
      tokenizer,
      withPrompt(request.pair, tokenizer),
      limitsOf(models, objective),
    );
    const key = JSON.stringify([policy, reference, method, details]);
    const scorer = this.#scorer(key, [policy, reference], models, objective, details);
    const vectors = await scorer.score([example]);
    const shown = { weights: method.bmc !== undefined, contributions: true };
    const [record] = scoreRecords([example], vectors, tokenizer, objective, shown);
    const sums = {
      chosen: sum(record.chosen.contributions ?? []),
      rejected: sum(record.rejected.contributions ?? []),
    };
    const token_ids = record.prompt.token_ids;
    return {
      prompt: { token_ids, tokens: token_ids.map((id) => tokenizer.tokenText(id)) },
      chosen: sideOf(record.chosen, cut.chosen, tokenizer),
      rejected: sideOf(record.rejected, cut.rejected, tokenizer),
      margin: sums.chosen - sums.rejected,
      sums,
      loss: vectors.losses?.[0],
    };
  }

  /** Statistics of a group; `start` is the number of its first pair. epsilon-DPO's own graph gives the steps. */
  async statistics(
    names: { readonly policy: string; readonly reference: string },
    models: { readonly policy: Slot; readonly reference: Slot },
    group: readonly PairText[],
    start: number,
  ): Promise<PairStatistics[]> {
    const objective = epsilonSteps();
    const { tokenizer } = models.policy;
    const examples: PairExample[] = [];
    for (const [i, pair] of group.entries()) {
      try {
        examples.push(
          tokenizePair(tokenizer, withPrompt(pair, tokenizer), limitsOf(models, objective), start + i + 1)
            .example,
        );
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
      }
    }
    if (examples.length === 0) return [];
    const slots = [names.policy, names.reference];
    const scorer = this.#scorer(JSON.stringify(['statistics', ...slots]), slots, models, objective, false);
    const vectors = await scorer.score(examples);
    const shown = { weights: false, contributions: false };
    return scoreRecords(examples, vectors, tokenizer, objective, shown).map(({ chosen, rejected }, i) => {
      const gap = (name: 'logps' | 'ref_logps') => sum(chosen[name] ?? []) - sum(rejected[name] ?? []);
      const mean = (values: readonly number[] = []) => sum(values) / values.length;
      const [own, reference] = [gap('logps'), gap('ref_logps')];
      return {
        index: examples[i].index,
        margin: own - reference,
        K: mean(chosen.ref_logps) - mean(rejected.ref_logps),
        step: Math.sign(vectors.steps?.[i] ?? 0) as -1 | 0 | 1,
        flipped: own > 0 !== reference > 0,
        spans: { chosen: surprises(chosen), rejected: surprises(rejected) },
      };
    });
  }

  /** Frees every scorer that reads the weights of a slot. */
  forget(slot: string): void {
    for (const [key, { scorer, slots }] of this.#scorers) {
      if (!slots.includes(slot)) continue;
      scorer.free();
      this.#scorers.delete(key);
    }
  }

  #scorer(
    key: string,
    slots: readonly (string | undefined)[],
    { policy, reference }: Models,
    objective: ActiveObjective,
    details: boolean,
  ): Scorer {
    const known = this.#scorers.get(key);
    this.#scorers.delete(key);
    const entry = known ?? {
      slots,
      scorer: new Scorer({
        gpu: this.#gpu,
        policy: policy.loaded.model,
        reference: reference && { model: reference.loaded.model, adapter: true },
        objective,
        details,
      }),
    };
    this.#scorers.set(key, entry);
    const [oldest] = this.#scorers.keys();
    if (this.#scorers.size > KEPT) {
      this.#scorers.get(oldest)?.scorer.free();
      this.#scorers.delete(oldest);
    }
    return entry.scorer;
  }
}

/** The pair with its prompt as text. A prompt that is known by its ids is decoded; the BOS comes back when it is encoded. */
function withPrompt(pair: PairText, tokenizer: Tokenizer): PairText {
  if (pair.promptIds === undefined) return pair;
  const ids = Array.from(pair.promptIds);
  return {
    ...pair,
    prompt: tokenizer.decode(ids[0] === tokenizer.bosId ? ids.slice(1) : ids, { atStart: true }),
  };
}

function sideOf(answer: ScoredAnswer, cut: readonly number[], tokenizer: Tokenizer): ScoredSide {
  return {
    ...answer,
    texts: displayTexts(answer.token_ids, tokenizer),
    cut: cut.map((id) => tokenizer.tokenText(id)),
  };
}

/** Characters of several tokens, such as emoji, are decoded together; the tokens before the last show nothing. */
export function displayTexts(ids: readonly number[], tokenizer: Tokenizer): string[] {
  let pending: number[] = [];
  return ids.map((id) => {
    const text = tokenizer.decode([...pending, id]);
    const isWhole = !text.includes('\uFFFD');
    if (pending.length === 0) {
      if (isWhole) return tokenizer.tokenText(id);
    } else if (isWhole) {
      pending = [];
      return text;
    }
    // No character has more than four bytes: longer runs are no text at all.
    pending = pending.length < 4 ? [...pending, id] : [];
    return pending.length === 0 ? tokenizer.tokenText(id) : '';
  });
}

/** @throws InputError when the two models cut this pair into different tokens */
function checkTokenizers({ pair, policy, reference }: ScoreRequest, models: Models): void {
  const [own, other] = [models.policy.tokenizer, models.reference?.tokenizer];
  if (other === undefined || other === own) return;
  const cutBy = (tokenizer: Tokenizer) =>
    [
      tokenizer.encodePrompt(pair.prompt),
      ...[pair.chosen, pair.rejected].map((text) => tokenizer.encodeContinuation(text)),
    ].join(' | ');
  if (cutBy(own) === cutBy(other)) return;
  throw new InputError(
    `${policy} and ${reference} cut this pair into different tokens. A reference needs the tokenizer of its policy: choose another one.`,
  );
}

/** -log p of an answer's varied tokens, span by span. */
function surprises({ logps, diff }: { logps: readonly number[]; diff: readonly number[] }): number[][] {
  const spans: number[][] = [];
  diff.forEach((differs, t) => {
    if (differs === 0) return;
    if (t === 0 || diff[t - 1] === 0) spans.push([]);
    spans[spans.length - 1].push(-logps[t]);
  });
  return spans;
}

/** @throws InputError when the models do not share a vocabulary */
function limitsOf({ policy, reference }: Models, objective: ActiveObjective) {
  const { vocabSize, maxPositions } = policy.loaded.config;
  const other = reference?.loaded.config;
  if (other !== undefined && other.vocabSize !== vocabSize) {
    throw new InputError(
      `The reference's vocabulary has ${other.vocabSize} tokens, the policy's ${vocabSize}; they cannot be compared.`,
    );
  }
  return {
    vocabSize,
    maxPositions: Math.min(maxPositions, other?.maxPositions ?? maxPositions),
    diff: objective.needs.differences ?? ('levenshtein' as const),
  };
}
