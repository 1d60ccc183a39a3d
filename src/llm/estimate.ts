/** What requests would cost, before any is sent. */
import { costOf } from './budget.ts';
import type { LlmClient } from './client.ts';
import { estimatePromptTokens, type LlmRequest } from './request.ts';

/** Counted while requests are planned. A bound holds as far as four characters are a token. */
export class Estimate {
  readonly #client: LlmClient;
  requests = 0;
  cached = 0;
  promptTokens = 0;
  /** Where every completion is as long as it may be. */
  mostCompletionTokens = 0;

  constructor(client: LlmClient) {
    this.#client = client;
  }

  async add(request: LlmRequest): Promise<void> {
    if (await this.#client.isCached(request)) {
      this.cached++;
      return;
    }
    this.requests++;
    this.promptTokens += estimatePromptTokens(request);
    this.mostCompletionTokens += request.maxTokens;
  }

  /** undefined where no prices are known. */
  get mostCost(): number | undefined {
    return costOf(this.#client.settings.prices, this.promptTokens, this.mostCompletionTokens);
  }

  get text(): string {
    const { prices } = this.#client.settings;
    const cost =
      this.mostCost === undefined
        ? 'no prices are known (prices: {input, output} in the endpoint file)'
        : `at most ${this.mostCost.toFixed(4)} ${prices?.currency}`;
    return (
      `${this.requests} requests, and ${this.cached} answered from the cache. About ${this.promptTokens} prompt tokens ` +
      `(four characters each) and at most ${this.mostCompletionTokens} completion tokens: ${cost}. Nothing was sent.`
    );
  }
}
