/**
 * KL of policy and reference over the policy's own answers, what Rafailov et al. 2024 and epsilon-DPO (Figure 3) plot:
 *
 *   KL(policy || reference) = E_x E_{y ~ policy(x)} sum_t KL(policy(. | x, y<t) || reference(. | x, y<t))
 *
 * over two answers to each of some held-out prompts, drawn at temperature 1. `eval_kl_chosen` is over the data's answers.
 */
import type { Example, PairExample } from '../data/examples.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { mean } from '../evaluate/statistics.ts';
import { generate } from '../generate/generator.ts';
import type { Gpu } from '../gpu/device.ts';
import type { LoadedModel } from '../models/loading/load.ts';
import { activate } from '../objectives/choice.ts';
import { simplestObjective } from '../objectives/probes.ts';
import { scoreRecords, sum } from '../score/record.ts';
import { PAIRS_TOGETHER, Scorer } from '../score/scorer.ts';
import type { Metrics } from './hooks.ts';
import type { TrainerOptions } from './trainer.ts';

/** Tokens of an answer at most. */
const MOST_TOKENS = 256;

/** Nothing is read of it: the token statistics that scoring gives beside it are what is wanted. */
const OBJECTIVE = activate({ name: simplestObjective({ reference: true, tokenWeights: false }) });

export class SampleDivergence {
  readonly #gpu: Gpu;
  readonly #policy: LoadedModel;
  readonly #tokenizer: Tokenizer;
  readonly #scorer: Scorer | undefined;
  readonly #held: readonly Example[];
  readonly #seed: number;

  /** Draws from nothing, and measures nothing, without `training.eval_samples` and a reference beside the policy. */
  constructor(
    { gpu, policy, reference, eval: held = [], training, seed }: TrainerOptions,
    tokenizer: Tokenizer,
  ) {
    this.#gpu = gpu;
    this.#policy = policy;
    this.#tokenizer = tokenizer;
    this.#seed = seed;
    this.#held = held.slice(0, training.eval_samples);
    if (reference?.form !== 'live' || this.#held.length === 0) return;
    this.#scorer = new Scorer({
      gpu,
      policy: policy.model,
      reference: { model: reference.loaded.model, adapter: reference.adapter },
      objective: OBJECTIVE,
      details: true,
    });
  }

  /** Sums per answer and means per token, as means over the answers. */
  async measure(): Promise<Metrics> {
    if (this.#scorer === undefined) return {};
    const pairs = await this.#draw();
    const perAnswer: number[] = [];
    const perToken: number[] = [];
    for (let at = 0; at < pairs.length; at += PAIRS_TOGETHER) {
      const group = pairs.slice(at, at + PAIRS_TOGETHER);
      const vectors = await this.#scorer.score(group);
      const shown = { weights: false, contributions: false, entropy: false, kl: true, top: 0 };
      const records = scoreRecords(group, vectors, this.#tokenizer, OBJECTIVE, shown);
      for (const { kl = [] } of records.flatMap(({ chosen, rejected }) => [chosen, rejected])) {
        perAnswer.push(sum(kl));
        perToken.push(mean(kl));
      }
    }
    return { eval_kl_samples: mean(perAnswer), eval_kl_samples_per_token: mean(perToken) };
  }

  free(): void {
    this.#scorer?.free();
  }

  /** Two answers per prompt, as a pair, so that the prompt is computed once. */
  async #draw(): Promise<PairExample[]> {
    const prompts = this.#held.flatMap(({ promptIds }) => {
      const ids = Array.from(promptIds);
      return [ids, ids];
    });
    const answers = await generate(this.#gpu, this.#policy.model, prompts, {
      temperature: 1,
      seed: this.#seed,
      maxNewTokens: MOST_TOKENS,
      eosIds: this.#tokenizer.eosIds,
      adapter: true,
      batchSize: prompts.length,
    });
    const answer = (i: number) => ({ ids: Int32Array.from(answers[i]) });
    return this.#held.map(({ index, line, promptIds }, i) => ({
      kind: 'pair',
      index,
      line,
      promptIds,
      truncated: false,
      chosen: answer(2 * i),
      rejected: answer(2 * i + 1),
    }));
  }
}
