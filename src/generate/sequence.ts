/** One continuation on its way: where its tokens lie and how far it has come. */
import { BLOCK_TOKENS } from '../ops/attention/paged-attention.ts';
import type { SamplingOptions } from '../ops/sampling/sample.ts';
import type { BlockPool } from './block-pool.ts';
import type { Generation } from './generation.ts';
import type { GenerationRequest } from './request.ts';

/** A request with its defaults filled in, and where its events go. */
export interface Submitted {
  readonly request: GenerationRequest;
  readonly sampling: SamplingOptions;
  /** Most new tokens, within the model's positions. */
  readonly maxTokens: number;
  readonly generation: Generation;
}

/** The part of a prompt that all of its continuations share: all tokens but the last. */
export interface Prefix {
  readonly tokens: number;
  readonly blocks: readonly number[];
}

export class Sequence {
  readonly submitted: Submitted;
  /** Number of the continuation within its request. */
  readonly sample: number;
  /** Tokens drawn and handed on. */
  drawn = 0;
  isFinished = false;
  /** Row of the runner's state while it decodes. */
  slot = -1;
  /** Decoding steps submitted since it was (last) admitted. */
  steps = 0;
  /** Counts admissions: results of an earlier one are stale. */
  epoch = 0;
  #prefix: Prefix = { tokens: 0, blocks: [] };
  #own: number[] = [];

  constructor(submitted: Submitted, sample: number) {
    this.submitted = submitted;
    this.sample = sample;
  }

  /** Position of the next token to be fed. */
  get position(): number {
    return this.#prefix.tokens + this.steps;
  }

  get shared(): number {
    return this.#prefix.tokens;
  }

  get table(): readonly number[] {
    return [...this.#prefix.blocks, ...this.#own];
  }

  /** The token to feed where the GPU does not know it: the last of the prompt. */
  get toldToken(): number | undefined {
    return this.steps === 0 ? this.submitted.request.prompt.at(-1) : undefined;
  }

  /** Whether another step may be submitted. */
  get canAdvance(): boolean {
    return !this.isFinished && this.steps < this.submitted.maxTokens;
  }

  /** Starts (again) behind a prefix, of whose blocks it becomes an owner. */
  admit(slot: number, prefix: Prefix, pool: BlockPool): void {
    this.slot = slot;
    this.steps = 0;
    this.epoch++;
    this.#prefix = prefix;
    for (const block of prefix.blocks) pool.share(block);
  }

  /** Whether the next token needs a block that it does not have yet. */
  get needsBlock(): boolean {
    return this.steps >= this.#own.length * BLOCK_TOKENS;
  }

  addBlock(block: number): void {
    this.#own.push(block);
  }

  /** Gives its blocks and its slot back. */
  leave(pool: BlockPool): void {
    for (const block of this.table) pool.release(block);
    this.#prefix = { tokens: 0, blocks: [] };
    this.#own = [];
    this.slot = -1;
    this.epoch++;
  }
}
