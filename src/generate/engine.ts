/**
 * The generation engine: continuous batching over a paged cache. Requests wait in order; whenever a slot is free the next
 * one's prompt is computed and joins those that decode, one token each per step. A step is submitted before the one before it
 * has been read, so that the GPU never waits for the host.
 *
 * What a continuation becomes depends on its prompt, its seed and its number alone: every kernel computes a row by itself, in
 * an order that does not depend on what else is in the batch. So when blocks run out, the youngest sequence can simply be
 * started over later; it draws the same tokens again, and those already handed on are passed over.
 */
import { InputError, RunError } from '../errors.ts';
import type { Gpu } from '../gpu/device.ts';
import { formatBytes } from '../gpu/memory.ts';
import type { CausalLM } from '../models/causal-lm.ts';
import { BLOCK_TOKENS } from '../ops/attention/paged-attention.ts';
import { RESULT_WORDS, readResult, type ScoredToken, TOP_LOGPROBS } from '../ops/sampling/sample.ts';
import { BlockPool } from './block-pool.ts';
import { Generation } from './generation.ts';
import { KvCache } from './kv-cache.ts';
import { type DecodeRow, ModelRunner } from './model-runner.ts';
import { type FinishReason, type GenerationRequest, GREEDY } from './request.ts';
import { type Prefix, Sequence, type Submitted } from './sequence.ts';

export interface EngineOptions {
  /** False generates from the weights without their LoRA adapter. Default true. */
  readonly adapter?: boolean;
  /** Sequences that decode together. Default 8. */
  readonly maxSequences?: number;
  /** Longest text, prompt included; at most the rows of the model's rotary table. Default: the model's positions. */
  readonly maxPositions?: number;
  /** Most bytes of keys and values. Default: all that maxSequences texts of full length take. */
  readonly cacheBytes?: number;
}

/** Prompt tokens that are computed in one pass, unless one prompt alone has more. */
const PREFILL_TOKENS = 2048;

/** Decoding steps on their way at the same time. */
const DEPTH = 2;

/** Blocks that the cache begins with. */
const FIRST_BLOCKS = 32;

/** What is waiting: continuations of one prompt. */
interface Waiting {
  readonly submitted: Submitted;
  readonly sequences: Sequence[];
  /** Log-probs of the prompt are still to be told. */
  isScored: boolean;
}

/** Continuations whose prompt is computed in the coming pass. */
interface Admitted {
  readonly submitted: Submitted;
  readonly prefix: Prefix;
  readonly isScored: boolean;
}

/** A pass on its way; `finish` waits for it and hands its results on. */
type OnItsWay = () => Promise<void>;

export class Engine {
  readonly maxPositions: number;
  readonly #runner: ModelRunner;
  readonly #pool = new BlockPool();
  readonly #mostBlocks: number;
  readonly #cacheBytes: number;
  readonly #freeSlots: number[];
  readonly #waiting: Waiting[] = [];
  readonly #running: Sequence[] = [];
  readonly #live = new Map<Generation, Set<Sequence>>();
  readonly #vocabulary: number;
  readonly #counts = { prompt: 0, generated: 0, preempted: 0 };
  #loop: Promise<void> | undefined;
  #isClosed = false;

  constructor(gpu: Gpu, model: CausalLM, options: EngineOptions = {}) {
    const {
      adapter = true,
      maxSequences = 8,
      maxPositions = model.config.maxPositions,
      cacheBytes,
    } = options;
    this.maxPositions = Math.min(maxPositions, model.config.maxPositions);
    this.#vocabulary = model.config.vocabSize;
    this.#runner = new ModelRunner(gpu, model, {
      adapter,
      slots: maxSequences,
    });
    this.#freeSlots = Array.from({ length: maxSequences }, (_, i) => maxSequences - 1 - i);
    const bytes = KvCache.blockBytes(model);
    const wanted =
      cacheBytes === undefined ? maxSequences * blocksFor(this.maxPositions) : Math.floor(cacheBytes / bytes);
    this.#mostBlocks = Math.min(1 + wanted, KvCache.mostBlocks(gpu, model));
    this.#cacheBytes = this.#mostBlocks * bytes;
  }

  /** Closed, or failed: it takes no requests. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Sequences waiting and decoding, tokens so far, and blocks of the cache in use. */
  get statistics() {
    return {
      waiting: this.#waiting.reduce((sum, { sequences }) => sum + sequences.length, 0),
      running: this.#running.length,
      promptTokens: this.#counts.prompt,
      generatedTokens: this.#counts.generated,
      preemptions: this.#counts.preempted,
      blocksUsed: this.#pool.used,
      blocksHeld: this.#runner.cache.blocks,
      blocksLimit: this.#mostBlocks,
    };
  }

  /**
   * Queues a request.
   * @throws InputError for a prompt that is empty, too long or outside of the vocabulary, and for options out of range;
   * RunError once the engine is closed
   */
  submit(request: GenerationRequest): Generation {
    if (this.#isClosed) throw new RunError('The engine is closed.');
    this.#check(request);
    const { prompt, n = 1 } = request;
    const generation: Generation = new Generation(() => this.#cancel(generation));
    const maxTokens = Math.min(request.maxTokens, this.maxPositions - prompt.length);
    const sampling = { ...GREEDY, ...request.sampling };
    const submitted: Submitted = { request, sampling, maxTokens, generation };
    const sequences = Array.from({ length: n }, (_, i) => new Sequence(submitted, i));
    this.#live.set(generation, new Set(sequences));
    this.#waiting.push({ submitted, sequences, isScored: request.promptLogprobs ?? false });
    this.#loop ??= this.#run();
    return generation;
  }

  /** Cancels everything, waits for what is on the GPU and frees its memory. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const generation of [...this.#live.keys()]) this.#cancel(generation);
    await this.#loop;
    this.#runner.free();
  }

  #check({ prompt, n = 1, maxTokens, logprobs = 0 }: GenerationRequest): void {
    if (prompt.length === 0) throw new InputError('The prompt has no tokens; give it at least one.');
    const outside = prompt.find((id) => !Number.isInteger(id) || id < 0 || id >= this.#vocabulary);
    if (outside !== undefined)
      throw new InputError(
        `Token id ${outside} lies outside of the model's vocabulary of ${this.#vocabulary}; use the model's own tokenizer.`,
      );
    const longest = maxTokens === 0 ? this.maxPositions : this.maxPositions - 1;
    if (prompt.length > longest)
      throw new InputError(
        `The prompt has ${prompt.length} tokens, but the model has ${this.maxPositions} positions; shorten it.`,
      );
    if (!Number.isInteger(n) || n < 1) throw new InputError(`n is ${n}; ask for at least one continuation.`);
    if (!Number.isInteger(maxTokens) || maxTokens < 0)
      throw new InputError(`maxTokens is ${maxTokens}; expected a whole number from 0 on.`);
    if (!Number.isInteger(logprobs) || logprobs < 0 || logprobs > TOP_LOGPROBS)
      throw new InputError(`logprobs is ${logprobs}; expected a whole number from 0 to ${TOP_LOGPROBS}.`);
    const tokens = Math.min(prompt.length + maxTokens, this.maxPositions);
    if (1 + blocksFor(tokens) > this.#mostBlocks)
      throw new InputError(
        `A text of ${tokens} tokens does not fit the cache of ${formatBytes(this.#cacheBytes)}; allow it more memory, or ` +
          'ask for fewer tokens.',
      );
  }

  async #run(): Promise<void> {
    // Requests of one turn of the event loop begin together.
    await Promise.resolve();
    const onItsWay: OnItsWay[] = [];
    try {
      for (;;) {
        const computed = await this.#admit();
        onItsWay.push(...computed);
        const step = await this.#step();
        if (step !== undefined) onItsWay.push(step);
        if (step === undefined && computed.length === 0 && onItsWay.length === 0) break;
        if (step === undefined || onItsWay.length >= DEPTH) await onItsWay.shift()?.();
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#loop = undefined;
    }
  }

  /** Computes the prompts of those who wait, as far as slots and blocks go. */
  async #admit(): Promise<OnItsWay[]> {
    const admitted: Admitted[] = [];
    let tokens = 0;
    while (this.#waiting.length > 0) {
      const [next] = this.#waiting;
      const own = this.#runner.prefillTokens(next.submitted.request.prompt);
      if (admitted.length > 0 && tokens + own > PREFILL_TOKENS) break;
      const prefix = this.#admitNext(next);
      if (prefix === undefined) break;
      tokens += own;
      admitted.push({ ...prefix, isScored: next.isScored });
      next.isScored = false;
    }
    const passes: OnItsWay[] = [];
    for (const isScored of [false, true]) {
      const pass = admitted.filter((a) => a.isScored === isScored);
      if (pass.length > 0) passes.push(await this.#prefill(pass, isScored));
    }
    return passes;
  }

  /** Admits continuations of the first who waits: all of them, or as many as there are slots for. */
  #admitNext(waiting: Waiting): Omit<Admitted, 'isScored'> | undefined {
    const { submitted, sequences } = waiting;
    const { prompt } = submitted.request;
    const count = Math.min(sequences.length, this.#freeSlots.length);
    if (count === 0) return undefined;
    const needed = Math.ceil((prompt.length - 1) / BLOCK_TOKENS);
    // Each of those who decode already may need a block soon, and so does each that begins.
    const isRoomy = this.#provide(needed + count + this.#running.length);
    if (!isRoomy && this.#running.length > 0) return undefined;
    const prefix: Prefix = { tokens: prompt.length - 1, blocks: this.#take(needed) };
    for (const sequence of sequences.splice(0, count)) {
      sequence.admit(this.#freeSlots.pop() ?? 0, prefix, this.#pool);
      if (submitted.sampling.repetitionPenalty !== 1) this.#runner.markSeen(sequence.slot, prompt);
      this.#running.push(sequence);
    }
    // The continuations own the prefix now.
    for (const block of prefix.blocks) this.#pool.release(block);
    if (sequences.length === 0) this.#waiting.shift();
    return { submitted, prefix };
  }

  /** Grows the cache until so many blocks are free. @returns whether they are */
  #provide(blocks: number): boolean {
    const held = this.#pool.size;
    const missing = blocks - this.#pool.free;
    if (missing <= 0) return true;
    const size = Math.min(this.#mostBlocks, Math.max(2 * held, held + missing, FIRST_BLOCKS));
    if (size > held) {
      this.#runner.growCache(size);
      this.#pool.grow(size);
    }
    return this.#pool.free >= blocks;
  }

  #take(blocks: number): number[] {
    return Array.from({ length: blocks }, () => {
      const block = this.#pool.take();
      if (block === undefined) throw new RangeError('The cache has no free block.');
      return block;
    });
  }

  async #prefill(admitted: readonly Admitted[], isScored: boolean): Promise<OnItsWay> {
    const prompts = admitted.map(({ submitted, prefix }) => {
      this.#counts.prompt += submitted.request.prompt.length;
      return { tokens: submitted.request.prompt, table: prefix.blocks };
    });
    // A prompt of one token leaves nothing to compute.
    if (prompts.every(({ tokens }) => tokens.length === 1)) {
      return () => Promise.resolve(this.#tellPrompts(admitted, isScored, []));
    }
    const { results } = await this.#runner.prefill(prompts, isScored);
    return async () => this.#tellPrompts(admitted, isScored, await results);
  }

  #tellPrompts(admitted: readonly Admitted[], isScored: boolean, scored: readonly ScoredToken[][]): void {
    admitted.forEach(({ submitted: { generation, maxTokens } }, i) => {
      if (isScored) generation.push({ kind: 'prompt', tokens: scored[i] ?? [] });
      if (maxTokens > 0) return;
      for (const sequence of [...(this.#live.get(generation) ?? [])]) this.#end(sequence, 'length');
    });
  }

  /** Submits a decoding step of all sequences that can advance. */
  async #step(): Promise<OnItsWay | undefined> {
    this.#provideForStep();
    const sequences = this.#running.filter((sequence) => sequence.canAdvance);
    if (sequences.length === 0) return undefined;
    const rows = sequences.map((sequence): DecodeRow => {
      const { submitted, slot, shared, table, toldToken: token, sample, position } = sequence;
      const { firstSample = 0, logprobs } = submitted.request;
      return {
        sampling: submitted.sampling,
        sample: firstSample + sample,
        position: position + 1,
        slot,
        logprobs,
        shared,
        table,
        token,
      };
    });
    const steps = sequences.map((sequence) => ({ sequence, epoch: sequence.epoch, index: sequence.steps++ }));
    const { results } = await this.#runner.decode(rows);
    return async () => {
      const words = await results;
      steps.forEach(({ sequence, epoch, index }, row) => {
        if (sequence.epoch === epoch && !sequence.isFinished) this.#arrive(sequence, index, words, row);
      });
    };
  }

  /** Blocks for the next token of everybody; where they run out, the youngest start over later. */
  #provideForStep(): void {
    for (;;) {
      const needy = this.#running.filter((sequence) => sequence.canAdvance && sequence.needsBlock);
      if (this.#provide(needy.length)) {
        for (const sequence of needy) for (const block of this.#take(1)) sequence.addBlock(block);
        return;
      }
      this.#preempt(this.#running[this.#running.length - 1]);
    }
  }

  #preempt(sequence: Sequence): void {
    this.#counts.preempted++;
    this.#vacate(sequence);
    this.#waiting.unshift({ submitted: sequence.submitted, sequences: [sequence], isScored: false });
  }

  /** Hands a drawn token on. */
  #arrive(sequence: Sequence, index: number, words: Uint32Array<ArrayBuffer>, row: number): void {
    // Drawn again after a new start, and told already.
    if (index < sequence.drawn) return;
    const { submitted, sample } = sequence;
    const { logprobs, stopIds = [], accept } = submitted.request;
    const scored = logprobs === undefined ? undefined : readResult(words, row, logprobs);
    const token = words[row * RESULT_WORDS];
    if (token >= this.#vocabulary) throw new RunError('The model gave logits that are not numbers.');
    sequence.drawn++;
    this.#counts.generated++;
    const isAccepted = accept?.(sample, token) ?? true;
    submitted.generation.push({ kind: 'token', sample, token, scored });
    if (!isAccepted || stopIds.includes(token)) this.#end(sequence, 'stop');
    else if (sequence.drawn >= submitted.maxTokens) this.#end(sequence, 'length');
  }

  #end(sequence: Sequence, reason: FinishReason): void {
    if (sequence.isFinished) return;
    sequence.isFinished = true;
    this.#vacate(sequence);
    const { generation } = sequence.submitted;
    generation.push({ kind: 'end', sample: sequence.sample, reason });
    const live = this.#live.get(generation);
    live?.delete(sequence);
    if (live?.size !== 0) return;
    this.#live.delete(generation);
    generation.close();
  }

  /** Takes a sequence off the GPU, if it is there. What is on its way for it is written before anybody else's tokens. */
  #vacate(sequence: Sequence): void {
    const place = this.#running.indexOf(sequence);
    if (place < 0) return;
    this.#running.splice(place, 1);
    this.#freeSlots.push(sequence.slot);
    sequence.leave(this.#pool);
  }

  #cancel(generation: Generation): void {
    for (const waiting of this.#waiting.filter(({ submitted }) => submitted.generation === generation))
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
    for (const sequence of [...(this.#live.get(generation) ?? [])]) this.#end(sequence, 'cancelled');
  }

  /** Nothing can go on: everybody is told why. */
  #fail(error: unknown): void {
    this.#isClosed = true;
    this.#waiting.length = 0;
    for (const sequence of [...this.#running]) this.#vacate(sequence);
    for (const generation of this.#live.keys()) generation.close(error);
    this.#live.clear();
  }
}

function blocksFor(tokens: number): number {
  return Math.ceil(tokens / BLOCK_TOKENS) + 1;
}
