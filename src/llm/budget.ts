/** What requests have cost, and the limits they must keep. */
import { RunError } from '../errors.ts';
import type { Tokens } from './ledger.ts';
import type { Prices } from './settings.ts';

export interface Limits {
  /** In the currency of the prices. */
  readonly maxCost?: number;
  /** Prompt and completion tokens together. */
  readonly maxTokens?: number;
}

export interface Spending extends Tokens {
  /** undefined where no prices are known. */
  readonly cost: number | undefined;
}

/** The next request could exceed a limit. Nothing is lost: what was answered is kept. */
export class BudgetError extends RunError {
  override name = 'BudgetError';
}

/** The place of one try of a request in the budget, from before it is sent until its cost is known. */
export interface Reservation {
  /** Replaces the estimate by what was used; nothing for a try without an answer. */
  settle(used: Tokens): void;
}

export class Budget {
  readonly #prices: Prices | undefined;
  readonly #limits: Limits;
  #prompt = 0;
  #completion = 0;
  #before: Tokens = { promptTokens: 0, completionTokens: 0 };
  #reservedPrompt = 0;
  #reservedCompletion = 0;

  /** @throws RangeError for a limit in currency without prices */
  constructor(prices: Prices | undefined, limits: Limits) {
    if (limits.maxCost !== undefined && prices === undefined)
      throw new RangeError('A limit in currency needs prices.');
    this.#prices = prices;
    this.#limits = limits;
  }

  /** Counts what earlier runs have used towards the limits. */
  carry(before: Tokens): void {
    this.#before = before;
  }

  /** Sets the most a request can use aside. @throws BudgetError where that could exceed a limit */
  reserve(promptTokens: number, completionTokens: number): Reservation {
    const used = this.total;
    const prompt = used.promptTokens + this.#reservedPrompt + promptTokens;
    const completion = used.completionTokens + this.#reservedCompletion + completionTokens;
    const { maxCost, maxTokens } = this.#limits;
    if (maxTokens !== undefined && prompt + completion > maxTokens) {
      throw new BudgetError(
        `The next request could use more than the limit of ${maxTokens} tokens; ` +
          `${used.promptTokens + used.completionTokens} are used. Raise the limit and go on with --resume.`,
      );
    }
    const cost = costOf(this.#prices, prompt, completion);
    if (maxCost !== undefined && cost !== undefined && cost > maxCost) {
      throw new BudgetError(
        `The next request could cost more than the limit of ${maxCost} ${this.#prices?.currency}; ` +
          `${used.cost?.toFixed(4)} are spent. Raise --max-cost and go on with --resume.`,
      );
    }
    this.#reservedPrompt += promptTokens;
    this.#reservedCompletion += completionTokens;
    return {
      settle: (settled) => {
        this.#reservedPrompt -= promptTokens;
        this.#reservedCompletion -= completionTokens;
        this.#prompt += settled.promptTokens;
        this.#completion += settled.completionTokens;
      },
    };
  }

  /** Of this run. */
  get spending(): Spending {
    return this.#spent(this.#prompt, this.#completion);
  }

  /** Of this run and those before it. */
  get total(): Spending {
    const { promptTokens, completionTokens } = this.#before;
    return this.#spent(promptTokens + this.#prompt, completionTokens + this.#completion);
  }

  #spent(promptTokens: number, completionTokens: number): Spending {
    return { promptTokens, completionTokens, cost: costOf(this.#prices, promptTokens, completionTokens) };
  }
}

/** cost = tokens / 10^6 x price, of prompt and completion. */
export function costOf(prices: Prices | undefined, prompt: number, completion: number): number | undefined {
  return prices === undefined ? undefined : (prompt * prices.input + completion * prices.output) / 1e6;
}
