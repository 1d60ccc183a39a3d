/**
 * Text generation with a key/value cache on the GPU. A fixed number of slots advance by one token per step, each at its
 * own position; a slot whose sequence has ended takes the next prompt. Prompts are fed token by token through the same
 * program, so there is one program in all.
 */
import { allocateTensor, freeTensor, type Tensor, temporary, upload, whole } from '../autograd/tensor.ts';
import type { Gpu } from '../gpu/device.ts';
import { Arena } from '../gpu/planner.ts';
import { gridOf, Program } from '../gpu/program.ts';
import type { Attend, CausalLM } from '../models/causal-lm.ts';
import { rolled, scoreScale } from '../ops/attention/attention-variants.ts';
import { tapeFor } from '../ops/index.ts';
import { linear } from '../ops/linear/linear.ts';
import { type SamplingOptions, sampleToken } from './sampling.ts';

export interface GenerateOptions extends SamplingOptions {
  readonly maxNewTokens: number;
  /** Ids that end a sequence; the ending id is kept in the result. */
  readonly eosIds: readonly number[];
  /** False generates from the weights without their LoRA adapter. */
  readonly adapter: boolean;
  /** Sequences advanced together. */
  readonly batchSize: number;
  /** Told every token as it is drawn, with the number of its prompt. */
  readonly onToken?: (token: number, sequence: number) => void;
}

interface Slot {
  sequence: number;
  position: number;
  tokens: number[];
}

/**
 * Continues every prompt.
 * @returns the new tokens of each prompt, in order, with the ending token where one was drawn.
 * @throws RangeError for an empty prompt or one that leaves no room within the model's positions.
 */
export async function generate(
  gpu: Gpu,
  model: CausalLM,
  prompts: readonly (readonly number[])[],
  options: GenerateOptions,
): Promise<number[][]> {
  const longest = Math.max(...prompts.map((p) => p.length)) + options.maxNewTokens;
  const length = Math.min(longest, model.config.maxPositions);
  prompts.forEach((prompt, i) => {
    if (prompt.length === 0) throw new RangeError(`Prompt ${i + 1} has no tokens.`);
    if (prompt.length >= length)
      throw new RangeError(
        `Prompt ${i + 1} has ${prompt.length} tokens; the model has ${model.config.maxPositions} positions.`,
      );
  });
  const decoder = await Decoder.open(
    gpu,
    model,
    Math.min(options.batchSize, prompts.length),
    length,
    options.adapter,
  );
  try {
    return await run(decoder, prompts, options, length);
  } finally {
    decoder.free();
  }
}

async function run(
  decoder: Decoder,
  prompts: readonly (readonly number[])[],
  options: GenerateOptions,
  length: number,
): Promise<number[][]> {
  const results: number[][] = prompts.map(() => []);
  let next = 0;
  const takeNext = (): Slot | undefined => {
    if (next >= prompts.length) return undefined;
    const sequence = next++;
    return { sequence, position: 0, tokens: [...prompts[sequence]] };
  };
  const slots = Array.from({ length: decoder.slots }, takeNext);
  while (slots.some((s) => s !== undefined)) {
    const wanted = slots.map((s) => s !== undefined && s.position === s.tokens.length - 1);
    const logits = await decoder.step(
      slots.map((s) => s?.tokens[s.position] ?? 0),
      slots.map((s) => s?.position ?? 0),
      wanted.some(Boolean),
    );
    slots.forEach((slot, i) => {
      if (slot === undefined) return;
      if (wanted[i] && logits !== undefined) {
        const row = logits.subarray(i * decoder.vocabulary, (i + 1) * decoder.vocabulary);
        const token = sampleToken(row, options, slot.sequence, slot.position + 1);
        slot.tokens.push(token);
        results[slot.sequence].push(token);
        options.onToken?.(token, slot.sequence);
        const ended = options.eosIds.includes(token) || results[slot.sequence].length >= options.maxNewTokens;
        if (ended || slot.tokens.length >= length) {
          slots[i] = takeNext();
          return;
        }
      }
      slot.position++;
    });
  }
  return results;
}

/** The program of one decoding step and its cache. */
class Decoder {
  readonly slots: number;
  readonly vocabulary: number;
  readonly #gpu: Gpu;
  readonly #program: Program;
  readonly #arena: Arena;
  readonly #ids: Tensor;
  readonly #positions: Tensor;
  readonly #logits: Tensor;
  readonly #caches: readonly Tensor[];

  private constructor(
    gpu: Gpu,
    slots: number,
    program: Program,
    arena: Arena,
    tensors: readonly [Tensor, Tensor, Tensor],
    caches: readonly Tensor[],
  ) {
    this.#gpu = gpu;
    this.slots = slots;
    this.#program = program;
    this.#arena = arena;
    [this.#ids, this.#positions, this.#logits] = tensors;
    this.#caches = caches;
    this.vocabulary = this.#logits.shape[1];
  }

  static async open(
    gpu: Gpu,
    model: CausalLM,
    slots: number,
    length: number,
    adapter: boolean,
  ): Promise<Decoder> {
    const { config } = model;
    const ids = allocateTensor(gpu, 'decode ids', [slots], 'u32', 'batch');
    const positions = allocateTensor(gpu, 'decode positions', [slots], 'u32', 'batch');
    const width = config.kvHeads * config.headDim;
    const caches = Array.from({ length: 2 * config.layers }, (_, i) =>
      allocateTensor(
        gpu,
        `${i % 2 === 0 ? 'key' : 'value'} cache of layer ${i >> 1}`,
        [slots, length, width],
        'f32',
        'cache',
      ),
    );
    const workgroup = gpu.isCpu ? 8 : 64;
    const attend: Attend = (tape, layer, q, k, v) => {
      const shape = model.attention[layer];
      const [keys, values] = [whole(caches[2 * layer]), whole(caches[2 * layer + 1])];
      tape.recorder.launch({
        kernel: 'kv_cache_write',
        constants: { WORKGROUP: workgroup },
        overrides: { WIDTH: width, LENGTH: length },
        bindings: { k: whole(k), v: whole(v), positions: whole(positions), keys, values },
        grid: gridOf(Math.ceil((slots * width) / workgroup)),
      });
      const y = temporary(tape.recorder, 'attended', q.shape);
      tape.recorder.launch({
        kernel: 'attention_cached',
        conditions: {
          WINDOWED: shape.window !== undefined,
          SOFTCAP: shape.softcap !== undefined,
          ROLLED: rolled(tape.recorder, config.headDim),
        },
        constants: { WORKGROUP: workgroup, HEAD4: config.headDim / 4 },
        overrides: {
          HEADS: config.heads,
          KV_HEADS: config.kvHeads,
          LENGTH: length,
          SCALE: scoreScale(shape),
          ...(shape.window === undefined ? {} : { WINDOW: shape.window }),
          ...(shape.softcap === undefined ? {} : { CAP: shape.softcap }),
        },
        bindings: { q: whole(q), keys, values, positions: whole(positions), y: whole(y) },
        grid: gridOf(Math.ceil((slots * config.heads) / workgroup)),
      });
      return y;
    };
    const arena = new Arena(gpu.memory);
    let logits: Tensor | undefined;
    const program = new Program(gpu, arena, 'decode', (recorder) => {
      const tape = tapeFor(recorder);
      const hidden = model.hidden(
        tape,
        { tokens: { ids }, positions, attend },
        { adapter, recomputedBlocks: 0 },
      );
      [logits] = tape.apply(linear, [hidden, model.head.weight], {});
      recorder.keep(whole(logits).storage);
    });
    arena.allocate();
    await program.bind();
    if (logits === undefined) throw new RangeError('The decode program recorded no logits.');
    return new Decoder(gpu, slots, program, arena, [ids, positions, logits], caches);
  }

  /** Advances every slot by the token given. @returns logits [slots, vocabulary], when wanted. */
  async step(
    ids: readonly number[],
    positions: readonly number[],
    wantLogits: boolean,
  ): Promise<Float32Array | undefined> {
    upload(this.#gpu, this.#ids, Uint32Array.from(ids));
    upload(this.#gpu, this.#positions, Uint32Array.from(positions));
    this.#program.run();
    if (!wantLogits) return undefined;
    return new Float32Array(await this.#gpu.read(whole(this.#logits), 0, 4 * this.slots * this.vocabulary));
  }

  free(): void {
    for (const tensor of [this.#ids, this.#positions, ...this.#caches]) freeTensor(this.#gpu, tensor);
    this.#arena.free();
  }
}
