/** What requests have cost, and the limits they must keep. */
import { RunError } from '../errors.ts';
import type { Prices } from './settings.ts';

export interface Limits {
  /** In the currency of the prices. */
  readonly maxCost?: number;
  /** Prompt and completion tokens together. */
  readonly maxTokens?: number;
}

export interface Spending {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** undefined where no prices are known. */
  readonly cost: number | undefined;
}

/** The next request could exceed a limit. Nothing is lost: what was answered is kept. */
export class BudgetError extends RunError {
  override name = 'BudgetError';
}

/** A request's place in the budget, from before it is sent until its cost is known. */
export interface Reservation {
  /** Replaces the estimate by what was used; 0 and 0 for a request that failed. */
  settle(promptTokens: number, completionTokens: number): void;
}

export class Budget {
  readonly #prices: Prices | undefined;
  readonly #limits: Limits;
  #prompt = 0;
  #completion = 0;
  #reservedPrompt = 0;
  #reservedCompletion = 0;

  /** @throws RangeError for a limit in currency without prices */
  constructor(prices: Prices | undefined, limits: Limits) {
    if (limits.maxCost !== undefined && prices === undefined)
      throw new RangeError('A limit in currency needs prices.');
    this.#prices = prices;
    this.#limits = limits;
  }

  /** Sets the most a request can use aside. @throws BudgetError where that could exceed a limit */
  reserve(promptTokens: number, completionTokens: number): Reservation {
    const prompt = this.#prompt + this.#reservedPrompt + promptTokens;
    const completion = this.#completion + this.#reservedCompletion + completionTokens;
    const { maxCost, maxTokens } = this.#limits;
    if (maxTokens !== undefined && prompt + completion > maxTokens) {
      throw new BudgetError(
        `The next request could use more than the limit of ${maxTokens} tokens; ` +
          `${this.#prompt + this.#completion} are used. Raise the limit and go on with --resume.`,
      );
    }
    const cost = costOf(this.#prices, prompt, completion);
    if (maxCost !== undefined && cost !== undefined && cost > maxCost) {
      throw new BudgetError(
        `The next request could cost more than the limit of ${maxCost} ${this.#prices?.currency}; ` +
          `${this.spending.cost?.toFixed(4)} are spent. Raise --max-cost and go on with --resume.`,
      );
    }
    this.#reservedPrompt += promptTokens;
    this.#reservedCompletion += completionTokens;
    return {
      settle: (usedPrompt, usedCompletion) => {
        this.#reservedPrompt -= promptTokens;
        this.#reservedCompletion -= completionTokens;
        this.#prompt += usedPrompt;
        this.#completion += usedCompletion;
      },
    };
  }

  get spending(): Spending {
    return {
      promptTokens: this.#prompt,
      completionTokens: this.#completion,
      cost: costOf(this.#prices, this.#prompt, this.#completion),
    };
  }
}

/** cost = tokens / 10^6 x price, of prompt and completion. */
export function costOf(prices: Prices | undefined, prompt: number, completion: number): number | undefined {
  return prices === undefined ? undefined : (prompt * prices.input + completion * prices.output) / 1e6;
}
