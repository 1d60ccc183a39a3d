/**
 * A client for OpenAI-compatible endpoints: our own server, vLLM, llama.cpp, hosted ones. Requests are queued, cached on
 * disk, tried again with growing pauses, and kept within a budget. The key goes into a header and nowhere else.
 */
import PQueue from 'p-queue';
import type { FileSystem } from '../runtime/runtime.ts';
import { Budget, type Limits, type Spending } from './budget.ts';
import { AnswerCache } from './cache.ts';
import { HttpClient } from './http.ts';
import type { Tokens, UsageLedger } from './ledger.ts';
import { estimatePromptTokens, type LlmRequest, type WireRequest, wireRequest } from './request.ts';
import { type LlmAnswer, parseCompletion, parseEmbeddings, usageOf } from './response.ts';
import { checkStatus, withRetries } from './retry.ts';
import type { EndpointSettings } from './settings.ts';

export interface LlmClientOptions {
  readonly settings: EndpointSettings;
  readonly files: FileSystem;
  /** Directory of the cache. */
  readonly cache: string;
  /** The value of the environment variable `settings.api_key_env`; undefined: no key is sent. */
  readonly apiKey?: string;
  readonly limits?: Limits;
  /** Waits between tries; replaced in tests. */
  readonly wait?: (seconds: number) => Promise<void>;
}

/** Counts since the client was made; tokens and cost are those of all answers, also of those that could not be used. */
export interface LlmUsage extends Spending {
  /** Requests that were answered by the endpoint. */
  readonly requests: number;
  /** Requests that were answered by the cache. */
  readonly cached: number;
  /** Tries that failed and were made again. */
  readonly retries: number;
  /** True where the endpoint did not count its tokens, so that these are guessed at four characters each. */
  readonly estimated: boolean;
}

export class LlmClient {
  readonly settings: EndpointSettings;
  readonly #queue: PQueue;
  readonly #http: HttpClient;
  readonly #cache: AnswerCache;
  readonly #budget: Budget;
  readonly #apiKey: string | undefined;
  readonly #wait: (seconds: number) => Promise<void>;
  /** Equal requests that are under way at the same time are one. */
  readonly #pending = new Map<string, Promise<string>>();
  #requests = 0;
  #cached = 0;
  #retries = 0;
  #estimated = false;
  #ledger: UsageLedger | undefined;

  constructor({ settings, files, cache, apiKey, limits = {}, wait = sleep }: LlmClientOptions) {
    this.settings = settings;
    this.#queue = new PQueue({ concurrency: settings.concurrency });
    this.#http = new HttpClient(settings.concurrency, settings.timeout_seconds);
    this.#cache = new AnswerCache(files, cache);
    this.#budget = new Budget(settings.prices, limits);
    this.#apiKey = apiKey;
    this.#wait = wait;
  }

  /**
   * @throws LlmError where the endpoint refuses this request or fails at every try; InputError where it would refuse
   * every request (key, URL, model); BudgetError before a request that could exceed the budget
   */
  async complete(request: LlmRequest): Promise<LlmAnswer> {
    const wire = wireRequest(this.settings.model, request);
    const promptTokens = estimatePromptTokens(request);
    const { raw, cached } = await this.#answer(wire, promptTokens, request.maxTokens, (text) =>
      parseCompletion(text, request.mayBeEmpty),
    );
    const { counted, ...answer } = parseCompletion(raw, request.mayBeEmpty);
    return { ...answer, promptTokens: counted ? answer.promptTokens : promptTokens, cached };
  }

  /** One vector per text, in order. @throws as `complete` */
  async embed(texts: readonly string[]): Promise<number[][]> {
    const wire: WireRequest = { path: '/embeddings', body: { model: this.settings.model, input: texts } };
    const size = texts.reduce((sum, text) => sum + Math.ceil(text.length / 4), 0);
    const { raw } = await this.#answer(wire, size, 0, (text) => parseEmbeddings(text, texts.length));
    return parseEmbeddings(raw, texts.length);
  }

  /** Counts what the ledger has towards the limits, and adds what this client spends. */
  keepAccounts(ledger: UsageLedger): void {
    this.#ledger = ledger;
    this.#budget.carry(ledger.before);
  }

  /** True when the answer lies on the disk. */
  async isCached(request: LlmRequest): Promise<boolean> {
    const { path, body } = wireRequest(this.settings.model, request);
    return (await this.#cache.get(await this.#cache.key(this.#url(path), body))) !== undefined;
  }

  get usage(): LlmUsage {
    return {
      requests: this.#requests,
      cached: this.#cached,
      retries: this.#retries,
      estimated: this.#estimated,
      ...this.#budget.spending,
    };
  }

  /** With what the ledger had before. */
  get totalSpending(): Spending {
    return this.#budget.total;
  }

  async close(): Promise<void> {
    await this.#http.close();
    await this.#ledger?.close();
  }

  #url(path: string): string {
    return this.settings.base_url.replace(/\/+$/, '') + path;
  }

  async #answer(
    wire: WireRequest,
    promptTokens: number,
    completionTokens: number,
    check: (raw: string) => void,
  ): Promise<{ raw: string; cached: boolean }> {
    const url = this.#url(wire.path);
    const key = await this.#cache.key(url, wire.body);
    const underWay = this.#pending.get(key);
    if (underWay !== undefined) {
      const raw = await underWay;
      this.#cached++;
      return { raw, cached: true };
    }
    let cached = true;
    const work = (async () => {
      const known = await this.#cache.get(key);
      if (known !== undefined) {
        this.#cached++;
        return known;
      }
      cached = false;
      return this.#queue.add(() => this.#fetch(url, key, wire.body, promptTokens, completionTokens, check));
    })();
    this.#pending.set(key, work);
    try {
      return { raw: await work, cached };
    } finally {
      this.#pending.delete(key);
    }
  }

  async #fetch(
    url: string,
    key: string,
    body: unknown,
    promptTokens: number,
    completionTokens: number,
    check: (raw: string) => void,
  ): Promise<string> {
    const { max_retries, max_retry_seconds, api_key_env } = this.settings;
    const headers: Record<string, string> =
      this.#apiKey === undefined ? {} : { authorization: `Bearer ${this.#apiKey}` };
    const limits = { retries: max_retries, longestSeconds: max_retry_seconds };
    const wait = (seconds: number) => {
      this.#retries++;
      return this.#wait(seconds);
    };
    return withRetries(url, limits, wait, async () => {
      const reservation = this.#budget.reserve(promptTokens, completionTokens);
      let used: Tokens = { promptTokens: 0, completionTokens: 0 };
      try {
        const answer = await this.#http.postJson(url, body, headers);
        checkStatus(url, `Set the key in the environment variable ${api_key_env}.`, answer);
        // An answer costs what it costs, whether it can be used or not.
        const { counted, ...tokens } = usageOf(answer.text, promptTokens, completionTokens);
        used = tokens;
        this.#estimated ||= !counted;
        await this.#ledger?.add(used);
        check(answer.text);
        this.#requests++;
        await this.#cache.put(key, url, body, answer.text);
        return answer.text;
      } finally {
        reservation.settle(used);
      }
    });
  }
}

function sleep(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
}
