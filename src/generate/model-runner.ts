/**
 * The two passes of generation as programs, one for each bucket of sizes, made when first needed:
 *
 *   prefill   packed prompts but for their last token: fills the cache, and tells log-probs of prompt tokens if asked to
 *   decode    one token of every sequence: fills the cache, and draws the next token of each
 *
 * The last token of a prompt goes through `decode` like those drawn later. So `decode` alone draws, samples of one prompt
 * differ from their first step on, and the kernels that a token meets depend on its own text only.
 */
import type { Tape } from '../autograd/tape.ts';
import { allocateTensor, freeTensor, type Tensor, whole } from '../autograd/tensor.ts';
import { mostBlocks, tokenBlocks } from '../data/token-blocks.ts';
import type { Gpu } from '../gpu/device.ts';
import { Arena } from '../gpu/planner.ts';
import { Program } from '../gpu/program.ts';
import type { Attend, AttendProducts, CausalLM, TokenLayout } from '../models/causal-lm.ts';
import { attention } from '../ops/attention/attention.ts';
import { recordAttentionInputs } from '../ops/attention/attention-inputs.ts';
import {
  BLOCK_TOKENS,
  cacheRowOf,
  pagedAttention,
  recordCacheWrite,
} from '../ops/attention/paged-attention.ts';
import { tapeFor } from '../ops/index.ts';
import { linear } from '../ops/linear/linear.ts';
import {
  NO_TOKEN,
  RESULT_WORDS,
  ROW_WORDS,
  readResult,
  recordNextTokens,
  recordSample,
  recordScores,
  type SampleRow,
  type ScoredToken,
  seenWords,
  writeSampleRow,
} from '../ops/sampling/sample.ts';
import { InputFields } from './input-fields.ts';
import { KvCache } from './kv-cache.ts';
import { Readback } from './readback.ts';

/** Where the tokens of a sequence lie in the cache. */
export interface SequencePlace {
  /** Tokens of the prefix that it may share with others. */
  readonly shared: number;
  /** Its blocks: first those of the prefix. */
  readonly table: readonly number[];
}

/** A row of a decoding step. */
export interface DecodeRow extends SampleRow, SequencePlace {
  /** The token to feed; undefined for the one drawn last in the slot. */
  readonly token: number | undefined;
}

/** A prompt to be computed: all of `tokens` but the last, into the blocks of `table`. */
export interface PrefillPrompt {
  readonly tokens: readonly number[];
  readonly table: readonly number[];
}

/** Results of a pass that has been submitted. */
export interface OnItsWay<T> {
  readonly results: Promise<T>;
}

export interface RunnerOptions {
  /** False computes the model without its LoRA adapter. */
  readonly adapter: boolean;
  /** Sequences that may decode together. */
  readonly slots: number;
}

/** Most probable tokens that are given beside each token of a prompt. */
export const PROMPT_TOP_LOGPROBS = 5;

/** Prompts begin at multiples of this in a pack: tiles of attention on tensor cores would otherwise fall differently in each. */
const GPU_ALIGNMENT = 64;

/** Fewest blocks that a table of a decoding step has places for. */
const FEWEST_BLOCKS = 16;

/** Fewest tokens of a prefill pass: enough that products of any pass take the same kernel. */
const FEWEST_TOKENS = 32;

type DecodeField = 'forced' | 'slots' | 'positions' | 'cacheRows' | 'places' | 'tables' | 'rows';
type PrefillField = 'ids' | 'positions' | 'visibility' | 'seen' | 'blocks' | 'cacheRows' | 'targets';

interface Pass<Field extends string> {
  readonly program: Program;
  readonly inputs: InputFields<Field>;
  readonly output: Tensor | undefined;
}

export class ModelRunner {
  readonly cache: KvCache;
  readonly #gpu: Gpu;
  readonly #model: CausalLM;
  readonly #options: RunnerOptions;
  readonly #arena: Arena;
  readonly #readback: Readback;
  readonly #last: Tensor;
  readonly #seen: Tensor;
  readonly #decodes = new Map<string, Pass<DecodeField>>();
  readonly #prefills = new Map<string, Pass<PrefillField>>();

  constructor(gpu: Gpu, model: CausalLM, options: RunnerOptions) {
    this.#gpu = gpu;
    this.#model = model;
    this.#options = options;
    this.cache = new KvCache(gpu, model);
    this.#arena = new Arena(gpu.memory);
    this.#readback = new Readback(gpu);
    // One slot more than there are sequences, for padding rows.
    this.#last = allocateTensor(gpu, 'tokens drawn last', [options.slots + 1], 'u32', 'state');
    this.#seen = allocateTensor(
      gpu,
      'tokens seen',
      [options.slots + 1, seenWords(model.config.vocabSize)],
      'u32',
      'state',
    );
  }

  /** Tokens that a prompt takes of a prefill pass. */
  prefillTokens(prompt: readonly number[]): number {
    const alignment = this.#gpu.profile.kernels === 'cpu' ? 1 : GPU_ALIGNMENT;
    return Math.ceil((prompt.length - 1) / alignment) * alignment;
  }

  /** Makes room for so many blocks. Programs, which know the cache as it was, are recorded again when they are next needed. */
  growCache(blocks: number): void {
    this.cache.grow(blocks);
    for (const passes of [this.#decodes, this.#prefills]) {
      for (const { inputs } of passes.values()) inputs.free();
      passes.clear();
    }
  }

  /** Tells a slot which tokens its text has already; needed where a repetition penalty is asked for. */
  markSeen(slot: number, tokens: readonly number[]): void {
    const words = new Uint32Array(this.#seen.shape[1]);
    for (const token of tokens) words[token >> 5] |= 1 << (token & 31);
    this.#gpu.write(whole(this.#seen), words, slot * words.byteLength);
  }

  /**
   * Computes prompts into the cache in one pass.
   * @param scored whether log-probs of prompt tokens are wanted
   * @returns for each prompt its tokens from the second on, scored; empty lists where not wanted
   */
  async prefill(prompts: readonly PrefillPrompt[], scored: boolean): Promise<OnItsWay<ScoredToken[][]>> {
    const used = prompts.reduce((sum, { tokens }) => sum + this.prefillTokens(tokens), 0);
    const { program, inputs, output } = await this.#prefillPass(used, prompts.length, scored);
    const starts = this.#fillPrefill(inputs, prompts);
    inputs.upload();
    program.run();
    if (output === undefined) return onItsWay(Promise.resolve(prompts.map(() => [])));
    const words = this.#readback.read(whole(output));
    return onItsWay(
      words.then((results) =>
        prompts.map(({ tokens }, p) =>
          tokens.slice(1).map((_, i) => readResult(results, starts[p] + i, PROMPT_TOP_LOGPROBS)),
        ),
      ),
    );
  }

  /**
   * Advances every row by one token.
   * @returns RESULT_WORDS words for each row, in order (ops/sampling/sample.ts)
   */
  async decode(rows: readonly DecodeRow[]): Promise<OnItsWay<Uint32Array<ArrayBuffer>>> {
    const { program, inputs, output } = await this.#decodePass(rows);
    this.#fillDecode(inputs, rows);
    inputs.upload();
    program.run();
    if (output === undefined) throw new RangeError('A decoding step has no output.');
    const slice = whole(output);
    return onItsWay(this.#readback.read({ ...slice, byteLength: 4 * RESULT_WORDS * rows.length }));
  }

  free(): void {
    for (const { inputs } of [...this.#decodes.values(), ...this.#prefills.values()]) inputs.free();
    this.cache.free();
    this.#arena.free();
    this.#readback.free();
    for (const tensor of [this.#last, this.#seen]) freeTensor(this.#gpu, tensor);
  }

  #fillPrefill(inputs: InputFields<PrefillField>, prompts: readonly PrefillPrompt[]): number[] {
    const [ids, positions, visibility, cacheRows, targets] = (
      ['ids', 'positions', 'visibility', 'cacheRows', 'targets'] as const
    ).map((name) => inputs.words(name));
    let end = 0;
    const set = (i: number, id: number, position: number, start: number, length: number) => {
      ids[i] = id;
      positions[i] = position;
      visibility.set([start, start + length, start, position], 4 * i);
    };
    const starts = prompts.map(({ tokens, table }) => {
      const [start, length] = [end, this.prefillTokens(tokens)];
      end += length;
      // What fills up to a multiple of the alignment continues the prompt, where no token of it looks.
      for (let i = 0; i < length; i++) {
        const isReal = i < tokens.length - 1;
        set(start + i, isReal ? tokens[i] : 0, i, start, length);
        cacheRows[start + i] = isReal ? cacheRowOf(table, i, tokens.length - 1, 0) : 0;
        targets[start + i] = isReal ? tokens[i + 1] : 0;
      }
      return start;
    });
    for (let i = end; i < ids.length; i++) {
      set(i, 0, 0, i, 0);
      cacheRows[i] = 0;
      targets[i] = 0;
    }
    const blocks = inputs.words('blocks');
    blocks.fill(0);
    blocks.set(tokenBlocks(visibility, end));
    return starts;
  }

  #fillDecode(inputs: InputFields<DecodeField>, rows: readonly DecodeRow[]): void {
    const fields = ['forced', 'slots', 'positions', 'cacheRows', 'places', 'tables', 'rows'] as const;
    const [forced, slots, positions, cacheRows, places, tables, sampled] = fields.map((name) =>
      inputs.words(name),
    );
    const width = tables.length / forced.length;
    rows.forEach((row, r) => {
      // The query's position; `row.position` is that of the token to be drawn.
      const position = row.position - 1;
      const gap = Math.ceil(row.shared / BLOCK_TOKENS) * BLOCK_TOKENS - row.shared;
      forced[r] = row.token ?? NO_TOKEN;
      slots[r] = row.slot;
      positions[r] = position;
      cacheRows[r] = cacheRowOf(row.table, position, row.shared, gap);
      places.set([position, row.shared, gap, 0], 4 * r);
      tables.set(row.table, r * width);
      writeSampleRow(sampled, r * ROW_WORDS, row);
    });
    for (let r = rows.length; r < forced.length; r++) {
      forced[r] = 0;
      slots[r] = this.#options.slots;
      positions[r] = 0;
      cacheRows[r] = 0;
      places.fill(0, 4 * r, 4 * (r + 1));
      tables[r * width] = 0;
      sampled.fill(0, r * ROW_WORDS, (r + 1) * ROW_WORDS);
      sampled[r * ROW_WORDS + 6] = this.#options.slots;
    }
  }

  async #decodePass(sequences: readonly DecodeRow[]): Promise<Pass<DecodeField>> {
    const rows = Math.min(powerOfTwo(sequences.length), this.#options.slots);
    const longest = Math.max(FEWEST_BLOCKS, ...sequences.map(({ table }) => table.length));
    const width = powerOfTwo(longest);
    const key = `${rows} ${width}`;
    const known = this.#decodes.get(key);
    if (known !== undefined) return known;
    const inputs = new InputFields<DecodeField>(this.#gpu, 'decoding step', {
      forced: [rows],
      slots: [rows],
      positions: [rows],
      cacheRows: [rows],
      places: [rows, 4],
      tables: [rows, width],
      rows: [rows, ROW_WORDS],
    });
    const layout = { places: inputs.tensor('places'), tables: inputs.tensor('tables') };
    const [positions, cacheRows] = [inputs.tensor('positions'), inputs.tensor('cacheRows')];
    const attendCache = (tape: Tape, layer: number, q: Tensor): Tensor => {
      const { keys, values } = this.cache.layer(layer);
      return tape.apply(pagedAttention, [q, keys, values], { layout, ...this.#model.attention[layer] })[0];
    };
    const attend: Attend = (tape, layer, q, k, v) => {
      recordCacheWrite(tape.recorder, k, v, cacheRows, this.cache.layer(layer));
      return attendCache(tape, layer, q);
    };
    const attendProducts: AttendProducts = (tape, layer, x, weights, { table }) => {
      const { headDim } = this.#model.attention[layer];
      const rotary = { positions, table, headDim };
      const cache = this.cache.layer(layer);
      const q = recordAttentionInputs(tape.recorder, x, weights, rotary, cacheRows, cache);
      return q && attendCache(tape, layer, q);
    };
    const pass = await this.#build(`decode ${key}`, inputs, (tape) => {
      const { recorder } = tape;
      const ids = recordNextTokens(recorder, inputs.tensor('forced'), inputs.tensor('slots'), this.#last);
      const { weight, softcap } = this.#model.head;
      const [logits] = recorder.withFewRows(() => {
        const hidden = this.#hidden(tape, { tokens: { ids }, positions, attend, attendProducts });
        return tape.apply(linear, [hidden, weight], {});
      });
      return recordSample(
        recorder,
        logits,
        inputs.tensor('rows'),
        { seen: this.#seen, last: this.#last },
        softcap,
      );
    });
    this.#decodes.set(key, pass);
    return pass;
  }

  async #prefillPass(used: number, prompts: number, scored: boolean): Promise<Pass<PrefillField>> {
    const tokens = powerOfTwo(Math.max(used, FEWEST_TOKENS));
    // Blocks of every prompt may end early.
    const blocks = mostBlocks({ tokens, pairs: powerOfTwo(prompts) });
    const key = `${tokens} ${blocks} ${scored}`;
    const known = this.#prefills.get(key);
    if (known !== undefined) return known;
    const inputs = new InputFields<PrefillField>(this.#gpu, 'prompts', {
      ids: [tokens],
      positions: [tokens],
      visibility: [tokens, 4],
      // Who may be seen by later tokens: asked for by gradients only.
      seen: [tokens, 2],
      blocks: [blocks, 2],
      cacheRows: [tokens],
      targets: [tokens],
    });
    const layout = {
      visibility: inputs.tensor('visibility'),
      seen: inputs.tensor('seen'),
      blocks: inputs.tensor('blocks'),
    };
    const attend: Attend = (tape, layer, q, k, v, half) => {
      recordCacheWrite(tape.recorder, k, v, inputs.tensor('cacheRows'), this.cache.layer(layer));
      return tape.apply(attention, [q, k, v], { layout, half, ...this.#model.attention[layer] })[0];
    };
    const pass = await this.#build(`prefill ${key}`, inputs, (tape) => {
      const [ids, positions] = [inputs.tensor('ids'), inputs.tensor('positions')];
      const hidden = this.#hidden(tape, { tokens: { ids }, positions, attend });
      if (!scored) return undefined;
      const { head } = this.#model;
      return recordScores(tape.recorder, hidden, head, inputs.tensor('targets'), PROMPT_TOP_LOGPROBS);
    });
    this.#prefills.set(key, pass);
    return pass;
  }

  #hidden(tape: Tape, layout: TokenLayout): Tensor {
    const { adapter } = this.#options;
    return this.#model.hidden(tape, layout, { adapter, recomputedBlocks: 0 });
  }

  async #build<Field extends string>(
    label: string,
    inputs: InputFields<Field>,
    record: (tape: Tape) => Tensor | undefined,
  ): Promise<Pass<Field>> {
    let output: Tensor | undefined;
    const program = new Program(this.#gpu, this.#arena, label, (recorder) => {
      output = record(tapeFor(recorder));
      if (output !== undefined) recorder.keep(whole(output).storage);
    });
    // A larger program may have the arena's buffers replaced.
    if (this.#arena.missingBytes > 0) {
      this.#arena.allocate();
      await this.#bindAll();
    }
    await program.bind();
    return { program, inputs, output };
  }

  async #bindAll(): Promise<void> {
    for (const { program } of [...this.#decodes.values(), ...this.#prefills.values()]) await program.bind();
  }
}

function powerOfTwo(n: number): number {
  return 2 ** Math.ceil(Math.log2(n));
}

/** A failure is told to whoever waits, later; until then it is nobody's. */
function onItsWay<T>(results: Promise<T>): OnItsWay<T> {
  results.catch(() => {});
  return { results };
}
