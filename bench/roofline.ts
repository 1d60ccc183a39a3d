/**
 * npm run bench -- roofline: a prediction, not a measurement. Records one micro-batch of a DPO step with LoRA as training would,
 * takes each dispatch's FLOPs and bytes, and says what a device would need if it reached the shares of its peaks below.
 */
import { describeModel, rotaryFrequencies } from '../src/engine.ts';
import { type Dispatch, Gpu, type Part, Recorder } from '../src/gpu/index.ts';
import type { Runtime } from '../src/index.ts';
import { type DType, ops, reserveTensor, rowRange, type Tensor, tapeFor } from '../src/ops/index.ts';

/** Dense f16 products with f32 sums, in TFLOP/s, and memory, in TB/s, from the makers' data sheets. */
export const DEVICES = [
  { name: 'H100 SXM', tflops: 989, bandwidth: 3.35 },
  { name: 'H200', tflops: 989, bandwidth: 4.8 },
  { name: 'RTX 4090', tflops: 165, bandwidth: 1.008 },
  { name: 'M4 Max', tflops: 18, bandwidth: 0.546 },
  { name: 'RX 7900 XTX', tflops: 123, bandwidth: 0.96 },
] as const;

type Kind = 'products' | 'LoRA products' | 'attention' | 'memory';

/** Shares of a peak: what a careful kernel is thought to reach, and 40% of everything. */
const EFFICIENCIES: Readonly<Record<string, Readonly<Record<Kind, number>>>> = {
  possible: { products: 0.3, 'LoRA products': 0.06, attention: 0.1, memory: 0.8 },
  '40%': { products: 0.4, 'LoRA products': 0.4, attention: 0.4, memory: 0.4 },
};

/** The model and the step: a 1B Llama, LoRA on every linear module, 16k tokens in micro-batches, documents of 1024 tokens. */
export const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: 128256,
  hidden_size: 2048,
  intermediate_size: 8192,
  num_hidden_layers: 16,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  head_dim: 64,
  max_position_embeddings: 4096,
  rms_norm_eps: 1e-5,
  rope_theta: 500000,
  hidden_act: 'silu',
  tie_word_embeddings: true,
};
export const STEP = {
  tokens: 2048,
  microBatches: 8,
  document: 1024,
  responses: 1024,
  rank: 16,
  reference: true,
};

export interface Cost {
  readonly label: string;
  readonly part: Part;
  readonly kind: Kind;
  readonly flops: number;
  readonly bytes: number;
}

/** A tensor that has a shape and no memory: enough to record with. */
function planned(gpu: Gpu, label: string, shape: readonly number[], dtype: DType): Tensor {
  return reserveTensor(gpu, label, shape, dtype, 'state');
}

/** Rows of a trained tensor and of its gradient. */
function rows(tensor: Tensor, start: number, count: number): Tensor {
  const { gradient } = tensor;
  return { ...rowRange(tensor, start, count), gradient: gradient && rowRange(gradient, start, count) };
}

/** Records one micro-batch: the policy forward and backward, and the reference. */
function record(gpu: Gpu): Recorder {
  const { tokens, responses, rank } = STEP;
  const description = describeModel(CONFIG, 'config.json');
  const { config, weights } = description;
  const tensors = new Map(
    weights.map(({ name, shape }) => [name, planned(gpu, name, shape, shape.length > 1 ? 'bf16' : 'f32')]),
  );
  const weight = (name: string): Tensor => {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new RangeError(`There is no weight ${name}.`);
    return tensor;
  };
  const trained = (label: string, shape: readonly number[]): Tensor => ({
    ...planned(gpu, label, shape, 'bf16'),
    requiresGrad: true,
    gradient: planned(gpu, `d ${label}`, shape, 'f32'),
  });
  // As nn/parameters.ts lays them: A of products that read the same input one after the other.
  const adapted = weights.filter(({ loraTarget }) => loraTarget !== undefined);
  const inputs = [...new Set(adapted.map(({ name, inputOf }) => inputOf ?? name))];
  const firsts = new Map(
    inputs.flatMap((input) => {
      const stack = adapted.filter(({ name, inputOf }) => (inputOf ?? name) === input);
      const all = trained(`${input} A`, [rank * stack.length, stack[0].shape[1]]);
      return stack.map(({ name }, i) => [name, rows(all, i * rank, rank)] as const);
    }),
  );
  const model = description.build({
    weight,
    lora: (module) => {
      const a = firsts.get(`${module}.weight`);
      const [out] = weight(`${module}.weight`).shape;
      return a && { a, b: trained(`${module} B`, [out, rank]), scale: 2 };
    },
    rope: {
      table: planned(gpu, 'rope', [config.maxPositions, config.headDim], 'f32'),
      frequencies: rotaryFrequencies(config.headDim, config.ropeTheta),
    },
    precision: 'BF16',
  });
  const indices = (label: string, ...shape: number[]) => planned(gpu, label, shape, 'u32');
  const layout = {
    visibility: indices('visibility', tokens, 4),
    seen: indices('seen', tokens, 2),
    blocks: indices('blocks', Math.ceil(tokens / 8), 2),
  };
  const recorder = new Recorder(gpu);
  const logps = (adapter: boolean) => {
    const tape = tapeFor(recorder);
    const hidden = model.hidden(
      tape,
      {
        tokens: { ids: indices('ids', tokens) },
        positions: indices('positions', tokens),
        attend: (inner, layer, q, k, v, half) =>
          inner.apply(ops.attention, [q, k, v], { layout, half, ...model.attention[layer] })[0],
      },
      { adapter, recomputedBlocks: 0 },
    );
    const picks = {
      rows: indices('rows', responses),
      starts: indices('starts', tokens + 1),
      picks: indices('picks', responses),
    };
    const [rows] = tape.apply(ops.gatherRows, [hidden], picks);
    const { weight: head, softcap } = model.head;
    const [values] = tape.apply(ops.tokenLogps, [rows, head], {
      targets: indices('targets', responses),
      softcap,
    });
    return { tape, values };
  };
  if (STEP.reference) recorder.asPart('reference', () => logps(false));
  const { tape, values } = logps(true);
  tape.backward(values, planned(gpu, 'd logps', [responses], 'f32'));
  return recorder;
}

/** Products of attention that a kernel makes for each pair of a query and a key that it sees. */
const ATTENTION_PRODUCTS: Readonly<Record<string, number>> = {
  attention_forward: 2,
  attention_backward_query: 3,
  attention_backward_key_value: 4,
};

/** More than any product of a pair alone makes, less than any base product, with a pair in its sum or not. */
const PAIR_FLOPS = 2 ** 31;

function costOf({ label, bindings, flops = 0 }: Dispatch, part: Part): Cost {
  const { tokens, document } = STEP;
  const { num_attention_heads: heads, head_dim: headDim } = CONFIG;
  const bytes = bindings.reduce((sum, slice) => sum + (slice?.byteLength ?? 0), 0);
  const products = ATTENTION_PRODUCTS[label];
  if (products === undefined) {
    const isPair = bindings.some((slice) => / [AB]$/.test(slice?.storage.label ?? '')) && flops < PAIR_FLOPS;
    return {
      label,
      part,
      kind: flops === 0 ? 'memory' : isPair ? 'LoRA products' : 'products',
      flops,
      bytes,
    };
  }
  const seen = (tokens / document) * ((document * (document + 1)) / 2);
  return { label, part, kind: 'attention', flops: products * 2 * seen * heads * headDim, bytes };
}

/** What every dispatch of one micro-batch costs, by the kernels that GPUs take. */
export function stepCosts(gpu: Gpu): Cost[] {
  gpu.choices.linear = gpu.has('shader-f16') ? 'tiled16' : 'tiled';
  const recorder = record(gpu);
  gpu.choices.clear();
  return recorder.dispatches.map((dispatch, i) => costOf(dispatch, recorder.parts[i]));
}

/** Seconds that our step is to take on an H200 at the shares of 'possible'. */
const GOAL = { device: 'H200', seconds: 0.5 } as const;

/**
 * Elementwise kernels that eager PyTorch runs in a block of transformers' Llama in bf16, beside products and fused attention: bytes
 * that all of them read and write for each token, as transformers' LlamaDecoderLayer and PEFT's lora.Linear write
 * them down.
 */
function eagerBlockBytes(): number {
  const {
    hidden_size: hidden,
    intermediate_size: inner,
    num_attention_heads: heads,
    head_dim: head,
  } = CONFIG;
  const [queries, keys] = [heads * head, CONFIG.num_key_value_heads * head];
  // To f32, square, mean, scale, back to bf16, times the weight.
  const norms = 2 * (6 + 8 + 4 + 8 + 6 + 4) * hidden;
  // x cos, the rotated half (negate, concatenate), times sin, add.
  const rotary = (4 + 2 + 4 + 4 + 6) * (queries + keys);
  const residuals = 2 * 6 * hidden;
  // silu, times up.
  const gate = (4 + 6) * inner;
  // Of each adapted module: the pair's product times its scale, added to the base's.
  const pairs = (4 + 6) * (2 * hidden + queries + 2 * keys + 2 * inner);
  return norms + rotary + residuals + gate + pairs;
}

/**
 * Seconds of eager PyTorch's elementwise kernels for the same step, every block recomputed: the policy's forward pass, once
 * more, and a backward pass that moves twice as much; and the reference's forward pass.
 */
export function eagerElementwise({ bandwidth }: (typeof DEVICES)[number], column: string): number {
  const passes = 1 + 1 + 2 + (STEP.reference ? 1 : 0);
  const bytes = passes * STEP.tokens * STEP.microBatches * CONFIG.num_hidden_layers * eagerBlockBytes();
  return bytes / (EFFICIENCIES[column].memory * bandwidth * 1e12);
}

/** Prints the step by part, and what devices would need. */
export async function benchRoofline(runtime: Runtime): Promise<void> {
  const gpu = await Gpu.open(runtime, { profile: 'gpu' });
  const costs = stepCosts(gpu);
  gpu.close();
  const { tokens, microBatches } = STEP;
  console.log(
    `PREDICTION, nothing here was measured. Llama 1B, LoRA of rank ${STEP.rank} on every linear module, DPO with the reference in ` +
      `the step, ${tokens * microBatches} tokens in ${microBatches} micro-batches, documents of ${STEP.document} tokens that share nothing.`,
  );
  console.log(
    'Each binding of a dispatch is moved once; a dispatch takes the longer of its FLOPs and its bytes; launches are free.',
  );
  const [possible] = Object.values(EFFICIENCIES);
  console.log(`Shares of the peaks in 'possible': ${JSON.stringify(possible)}.\n`);
  const table = (rows: readonly (readonly string[])[]) =>
    console.log(`${rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n`);
  const keys = [...new Set(costs.map(({ part, kind }) => `${part}, ${kind}`))].sort();
  const times = (some: readonly Cost[], { tflops, bandwidth }: (typeof DEVICES)[number], column: string) =>
    microBatches *
    some.reduce((sum, { kind, flops, bytes }) => {
      const share = EFFICIENCIES[column];
      return sum + Math.max(flops / (share[kind] * tflops * 1e12), bytes / (share.memory * bandwidth * 1e12));
    }, 0);
  const ms = (seconds: number) => (1000 * seconds).toFixed(0);
  table([
    ['part', 'dispatches', 'TFLOP', 'GB', ...DEVICES.map(({ name }) => `${name}, ms`)],
    ['---', ...['dispatches', 'TFLOP', 'GB', ...DEVICES].map(() => '---:')],
    ...keys.map((key) => {
      const some = costs.filter(({ part, kind }) => `${part}, ${kind}` === key);
      const sum = (of: (cost: Cost) => number) =>
        microBatches * some.reduce((total, cost) => total + of(cost), 0);
      return [
        key,
        String(microBatches * some.length),
        (sum(({ flops }) => flops) / 1e12).toFixed(1),
        (sum(({ bytes }) => bytes) / 1e9).toFixed(1),
        ...DEVICES.map((device) => ms(times(some, device, 'possible'))),
      ];
    }),
  ]);
  table([
    ['device', ...Object.keys(EFFICIENCIES).map((name) => `step at ${name}, s`)],
    ['---', ...Object.keys(EFFICIENCIES).map(() => '---:')],
    ...DEVICES.map((device) => [
      device.name,
      ...Object.keys(EFFICIENCIES).map((column) => times(costs, device, column).toFixed(2)),
    ]),
  ]);
  const found = times(costs, deviceOf(GOAL.device), 'possible');
  console.log(
    `Goal: at most ${GOAL.seconds} s on an ${GOAL.device} at the shares of 'possible'. Predicted: ${found.toFixed(2)} s, ` +
      `${found <= GOAL.seconds ? 'met' : `missed by ${(found - GOAL.seconds).toFixed(2)} s`}.\n`,
  );
  console.log(
    'Beside it, memory-bound kernels alone: ours as recorded, and those of eager PyTorch (transformers with PEFT, bf16, every block ' +
      'recomputed) by its list of operations. Products and attention are the same FLOPs in both where no prompt is shared.',
  );
  const memoryBound = costs.filter(({ kind }) => kind === 'memory');
  table([
    ['device', 'ours, ms', 'eager PyTorch, ms'],
    ['---', '---:', '---:'],
    ...DEVICES.map((device) => [
      device.name,
      ms(times(memoryBound, device, 'possible')),
      ms(eagerElementwise(device, 'possible')),
    ]),
  ]);
}

function deviceOf(wanted: (typeof DEVICES)[number]['name']): (typeof DEVICES)[number] {
  const device = DEVICES.find(({ name }) => name === wanted);
  if (device === undefined) throw new RangeError(`There is no ${wanted}.`);
  return device;
}
