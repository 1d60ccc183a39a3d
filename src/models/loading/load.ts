/**
 * Joins file tensors to parameters. Trained weights become f32 masters in slabs; frozen ones keep 16 bits where the
 * checkpoint has them. Weights go from disk to the GPU in pieces, so host memory stays small whatever the model.
 */
import {
  allocateTensor,
  bytesPerElement,
  type DType,
  elementCount,
  freeTensor,
  rowLength,
  rowRange,
  type Tensor,
  upload,
  whole,
} from '../../autograd/tensor.ts';
import { uniformAt } from '../../data/random.ts';
import { InputError } from '../../errors.ts';
import { Checksum } from '../../formats/checksum.ts';
import { allFinite, decodeFloats, encodeFloats, type FloatDType } from '../../formats/half.ts';
import { ModelDirectory } from '../../formats/model-directory.ts';
import type { Gpu } from '../../gpu/device.ts';
import { Program } from '../../gpu/program.ts';
import { PIECE_BYTES, SLOTS, UploadRing } from '../../gpu/staging.ts';
import { ParameterSlabs, type ParameterSpec } from '../../nn/parameters.ts';
import type { LoraPair } from '../../nn/projection.ts';
import { makeRotaryTable } from '../../nn/rotary-table.ts';
import { isShared, type SharedTensor, sliceOf, writeShared } from '../../nn/shares.ts';
import { recordCast } from '../../ops/elementwise/fill.ts';
import type { LmHead } from '../../ops/logps/logit-chunks.ts';
import type { CausalLM, ModelConfig, WeightSpec } from '../causal-lm.ts';
import { describeBackbone, describeModel } from '../registry.ts';
import { headName } from '../weight-table.ts';
import { checkWeights } from './check-weights.ts';
import { GROUP, type QuantizedDType, quantize } from './quantize.ts';
import { randomWeights, type WeightSource } from './random-weights.ts';

export interface LoraSettings {
  readonly r: number;
  readonly alpha: number;
  /** Names such as 'q_proj'. */
  readonly targetModules: readonly string[];
}

/** How a checkpoint is to be held. */
export interface LoadOptions {
  /** 'none' freezes everything, 'full' trains every weight, otherwise only LoRA pairs are trained. */
  readonly train: 'none' | 'full' | LoraSettings;
  /** dtype that products read weights in; 'auto' is f32 on CPU adapters, else the checkpoint's. */
  readonly dtype: DType | 'auto';
  /** Holds the frozen weights of layers in 8 or 4 bits; embedding, head and norms stay as they are. */
  readonly quantize?: QuantizedDType;
  /** Rows of the rotary table; at most the model's positions. */
  readonly positions: number;
  /**
   * Loads what lies below the head, of checkpoints whose head makes no logits (`...ForSequenceClassification`). The head's own
   * weights are the caller's to read; `CausalLM.head` is then the embedding and means nothing.
   */
  readonly backbone?: boolean;
  /** 'random' makes a model from scratch of config.json, by the seed, and reads no weights. */
  readonly init?: 'pretrained' | 'random';
  /** Of LoRA's first values, and of a random start. */
  readonly seed?: number;
}

/** A model on the GPU with everything needed to train and save it. */
export interface LoadedModel {
  readonly directory: WeightSource;
  readonly config: ModelConfig;
  /** Every weight of the checkpoint. */
  readonly weights: readonly WeightSpec[];
  readonly model: CausalLM;
  /** Trained parameters; undefined for a frozen model. */
  readonly trained: ParameterSlabs | undefined;
  readonly lora: LoraSettings | undefined;
  /** dtype that products read weights in. */
  readonly dtype: DType;
  /** dtype of the checkpoint's files; a trained model is written in it. */
  readonly storedDType: FloatDType;
  /** Of all weights as the checkpoint has them. */
  readonly checksum: string;
  /** The tensor that layers read, by Hugging Face name. */
  weight(name: string): Tensor;
  /** Another model over the same weights, with LoRA pairs of its own: the pair of a module such as 'model.layers.0.self_attn.q_proj'. */
  withPairs(lora: (module: string) => LoraPair | undefined): CausalLM;
  /** Rounds the masters into the 16-bit copies, after they were written from outside. */
  roundMasters(): Promise<void>;
  free(): void;
}

/** @throws InputError for anything in the directory that is missing, unsound or not supported. */
export async function loadModel(gpu: Gpu, path: string, options: LoadOptions): Promise<LoadedModel> {
  const { files } = gpu.runtime;
  const directory =
    options.init === 'random'
      ? await randomWeights(files, path, options.seed ?? 0)
      : await ModelDirectory.open(files, path);
  try {
    return await loadFrom(gpu, directory, options);
  } finally {
    await directory.close();
  }
}

async function loadFrom(gpu: Gpu, directory: WeightSource, options: LoadOptions): Promise<LoadedModel> {
  const describe = options.backbone ? describeBackbone : describeModel;
  const description = describe(directory.config, `${directory.path}/config.json`);
  const { config, weights } = description;
  checkWeights(directory, weights, options.backbone);
  const storedDType = storedDTypeOf(directory, weights);
  const dtype = options.dtype === 'auto' ? automaticDType(gpu, storedDType) : options.dtype;
  const lora = typeof options.train === 'object' ? options.train : undefined;
  const specs = trainedSpecs(weights, options.train);
  const sharing = options.train === 'full' ? gpu.runtime.ranks : undefined;
  const trained = specs.length === 0 ? undefined : new ParameterSlabs(gpu, specs, dtype, sharing);
  const frozen = new Map<string, Tensor>();
  const checksum = new Checksum();
  await throughRing(gpu, weights, async (ring) => {
    for (const spec of weights) {
      const { name } = spec;
      const parameter = trained?.parameters.get(name);
      if (parameter === undefined) {
        const tensor = allocateFrozen(gpu, spec, dtype, options.quantize);
        await copyWeight(ring, directory, name, tensor, checksum);
        frozen.set(name, tensor);
      } else if (isShared(parameter.held))
        await copyWeight(ring, directory, name, parameter.tensor, checksum, parameter.held);
      else await copyWeight(ring, directory, name, parameter.held, checksum);
    }
  });
  if (trained !== undefined) {
    if (lora !== undefined) initializeLora(gpu, trained, options.seed ?? 0);
    await roundMasters(gpu, trained);
  }
  const rope = makeRotaryTable(
    gpu,
    Math.min(options.positions, config.maxPositions),
    config.headDim,
    config.ropeTheta,
    config.ropeScaling,
  );
  const weight = (name: string): Tensor => {
    const tensor = trainedTensor(trained, name) ?? frozen.get(name);
    if (tensor === undefined) throw new RangeError(`${name} was not loaded.`);
    return tensor;
  };
  const withPairs = (pairs: (module: string) => LoraPair | undefined) =>
    description.build({ weight, lora: pairs, rope, precision: FILE_DTYPE[dtype as ComputeDType] });
  return {
    directory,
    config,
    weights,
    model: withPairs((module) => loraPair(trained, lora, module)),
    withPairs,
    trained,
    lora,
    dtype,
    storedDType,
    checksum: checksum.hex(),
    weight,
    roundMasters: async () => {
      if (trained !== undefined) await roundMasters(gpu, trained);
    },
    free() {
      for (const tensor of [...frozen.values(), rope.table]) freeTensor(gpu, tensor);
      trained?.free();
    },
  };
}

/** The head of a model and nothing else of it, frozen. Whoever loads it frees its weight. */
export async function loadHead(gpu: Gpu, path: string, dtype: LoadOptions['dtype']): Promise<LmHead> {
  const directory = await ModelDirectory.open(gpu.runtime.files, path);
  try {
    const { config, weights } = describeModel(directory.config, `${path}/config.json`);
    checkWeights(directory, weights);
    const name = headName(config);
    const held = dtype === 'auto' ? automaticDType(gpu, storedDTypeOf(directory, weights)) : dtype;
    const head = allocateTensor(gpu, name, [config.vocabSize, config.hiddenSize], held, 'reference');
    await throughRing(gpu, [head], (ring) => copyWeight(ring, directory, name, head));
    return { weight: head, softcap: config.logitSoftcap };
  } finally {
    await directory.close();
  }
}

/** Vectors (norms, biases) are read in f32 by their kernels, even where matrices have 16-bit copies. */
function trainedTensor(trained: ParameterSlabs | undefined, name: string): Tensor | undefined {
  const parameter = trained?.parameters.get(name);
  if (parameter === undefined) return undefined;
  if (parameter.shape.length > 1) return parameter.tensor;
  return { ...parameter.master, requiresGrad: true, gradient: parameter.tensor.gradient };
}

function loraPair(
  trained: ParameterSlabs | undefined,
  lora: LoraSettings | undefined,
  module: string,
): LoraPair | undefined {
  if (lora === undefined || trained === undefined) return undefined;
  const a = trained.parameters.get(`${module}.lora_A.weight`);
  const b = trained.parameters.get(`${module}.lora_B.weight`);
  return a && b && { a: a.tensor, b: b.tensor, scale: lora.alpha / lora.r };
}

function trainedSpecs(weights: readonly WeightSpec[], train: LoadOptions['train']): readonly ParameterSpec[] {
  if (train === 'none') return [];
  if (train === 'full') return weights;
  const { r, targetModules } = train;
  const known = new Set(weights.map(({ loraTarget }) => loraTarget));
  const unknown = targetModules.filter((target) => !known.has(target));
  if (unknown.length > 0 || targetModules.length === 0) {
    const targets = [...known].filter((target) => target !== undefined);
    throw new InputError(
      `lora.target_modules: ${unknown.join(', ') || 'nothing'} is not one of ${targets.join(', ')}.`,
    );
  }
  return weights
    .filter(({ loraTarget }) => loraTarget !== undefined && targetModules.includes(loraTarget))
    .flatMap(({ name, shape: [out, inner] }) => {
      const module = name.replace(/\.weight$/, '');
      return [
        { name: `${module}.lora_A.weight`, shape: [r, inner], decays: true },
        { name: `${module}.lora_B.weight`, shape: [out, r], decays: true },
      ];
    });
}

/** The dtype that most elements of the checkpoint have. */
function storedDTypeOf(directory: WeightSource, weights: readonly WeightSpec[]): FloatDType {
  const elements = { F32: 0, F16: 0, BF16: 0 };
  for (const { name, shape } of weights) {
    const dtype = directory.tensors.get(name)?.dtype as FloatDType;
    elements[dtype] += elementCount(shape);
  }
  const dtypes = Object.keys(elements) as FloatDType[];
  return dtypes.reduce((most, dtype) => (elements[dtype] > elements[most] ? dtype : most));
}

function automaticDType(gpu: Gpu, stored: FloatDType): DType {
  if (gpu.isCpu || stored === 'F32') return 'f32';
  return stored === 'F16' ? 'f16' : 'bf16';
}

type ComputeDType = 'f32' | 'f16' | 'bf16';

const FILE_DTYPE: Readonly<Record<ComputeDType, FloatDType>> = {
  f32: 'F32',
  f16: 'F16',
  bf16: 'BF16',
};

/** A weight that is not trained: vectors in f32, matrices in the compute dtype, or quantized where the family allows it. */
function allocateFrozen(
  gpu: Gpu,
  { name, shape, quantizable }: WeightSpec,
  dtype: DType,
  quantized: QuantizedDType | undefined,
): Tensor {
  if (quantizable && quantized !== undefined) return allocateQuantized(gpu, name, shape, quantized);
  return allocateTensor(gpu, name, shape, shape.length === 1 ? 'f32' : dtype, 'weights');
}

/** @throws InputError for rows that are no whole number of groups. */
function allocateQuantized(gpu: Gpu, name: string, shape: readonly number[], dtype: QuantizedDType): Tensor {
  const [rows, inner] = shape;
  if (inner % GROUP !== 0) {
    throw new InputError(
      `${name}: rows of ${inner} cannot be quantized in groups of ${GROUP}. Leave out model.load_in_8bit and load_in_4bit.`,
    );
  }
  const scales = allocateTensor(gpu, `${name} scales`, [rows, inner / GROUP], 'f32', 'weights');
  return { ...allocateTensor(gpu, name, shape, dtype, 'weights'), scales };
}

/** Lends a ring that suits weights of these shapes. */
async function throughRing(
  gpu: Gpu,
  weights: readonly { readonly shape: readonly number[] }[],
  copy: (ring: UploadRing) => Promise<void>,
): Promise<void> {
  const largest = Math.max(...weights.map(({ shape }) => 4 * elementCount(shape)));
  // Small models take a small ring: all of its pieces together are as long as the largest weight.
  const ring = new UploadRing(gpu, Math.min(PIECE_BYTES, 8 * Math.ceil(largest / SLOTS / 8)));
  try {
    await copy(ring);
  } finally {
    ring.free();
  }
}

/**
 * Copies one weight to the GPU piece by piece, converting where dtypes differ.
 * @param master gets what this rank holds of it, in f32
 */
async function copyWeight(
  ring: UploadRing,
  directory: WeightSource,
  name: string,
  tensor: Tensor,
  checksum = new Checksum(),
  master?: SharedTensor,
): Promise<void> {
  const from = (directory.tensors.get(name)?.dtype ?? 'F32') as FloatDType;
  const { dtype, scales } = tensor;
  const fromBytes = from === 'F32' ? 4 : 2;
  const length = rowLength(tensor.shape);
  // An even number of rows keeps 16-bit pieces on multiples of four bytes.
  const step = Math.max(2, 2 * Math.floor(PIECE_BYTES / (8 * length)));
  for (const [i, shard] of tensor.shards.entries()) {
    for (let row = 0; row < shard.rows; row += step) {
      const rows = Math.min(step, shard.rows - row);
      const bytes = await directory.readRange(
        name,
        (shard.rowStart + row) * length * fromBytes,
        rows * length * fromBytes,
      );
      checksum.add(bytes);
      if (!allFinite(bytes, from)) throw notFinite(directory, name);
      if (master !== undefined)
        await writeShared(ring, master.parts[i], row * length, decodeFloats(bytes, from));
      const place = row * length * bytesPerElement(dtype);
      if (scales !== undefined) {
        const quantized = quantize(decodeFloats(bytes, from), dtype as QuantizedDType);
        await ring.write(shard, quantized.packed, place);
        const ofRows = rowRange(scales, shard.rowStart, shard.rows);
        await ring.write(whole(ofRows), quantized.scales, (4 * row * length) / GROUP);
        continue;
      }
      const to = FILE_DTYPE[dtype as ComputeDType];
      const converted = from === to ? bytes : encodeFloats(decodeFloats(bytes, from), to);
      const padded = converted.byteLength % 4 === 0 ? converted : new Uint8Array([...converted, 0, 0]);
      await ring.write(shard, padded, place);
    }
  }
}

function notFinite({ path }: WeightSource, name: string): InputError {
  return new InputError(
    `${path}: ${name} has values that are not finite; the weights are damaged, or a training diverged.`,
  );
}

/** LoRA starts as PEFT's does: A uniform in +-1 / sqrt(inputs), B zero, so that the first step is the base model's. */
function initializeLora(gpu: Gpu, trained: ParameterSlabs, seed: number): void {
  let stream = 0;
  for (const { name, shape, master } of trained.parameters.values()) {
    stream++;
    if (!name.endsWith('.lora_A.weight')) continue;
    const bound = 1 / Math.sqrt(shape[1]);
    const values = Float32Array.from(
      { length: shape[0] * shape[1] },
      (_, i) => bound * (2 * uniformAt(seed, stream, i) - 1),
    );
    upload(gpu, master, values);
  }
}

/** Rounds all masters that this process holds into the 16-bit copies that products read. */
async function roundMasters(gpu: Gpu, trained: ParameterSlabs): Promise<void> {
  const program = await Program.build(gpu, 'round masters', (recorder) => {
    for (const { master, copy, share, hasWholeMaster } of trained.slabs)
      if (copy !== undefined && elementCount(master.shape) > 0)
        recordCast(recorder, master, hasWholeMaster ? copy : sliceOf(copy, share));
  });
  program.run();
}
