/**
 * Joins file tensors to parameters. Trained weights become f32 masters in slabs; frozen ones keep 16 bits where the
 * checkpoint has them.
 */
import {
  allocateTensor,
  type DType,
  elementCount,
  freeTensor,
  type Tensor,
  upload,
} from '../../autograd/tensor.ts';
import { uniformAt } from '../../data/random.ts';
import { InputError } from '../../errors.ts';
import { Checksum } from '../../formats/checksum.ts';
import type { FloatDType } from '../../formats/half.ts';
import { ModelDirectory } from '../../formats/model-directory.ts';
import type { Gpu } from '../../gpu/device.ts';
import { Program } from '../../gpu/program.ts';
import { ParameterSlabs, type ParameterSpec } from '../../nn/parameters.ts';
import type { LoraPair } from '../../nn/projection.ts';
import { makeRotaryTable } from '../../nn/rotary-table.ts';
import { isShared, sliceOf } from '../../nn/shares.ts';
import { recordCast } from '../../ops/elementwise/fill.ts';
import type { LmHead } from '../../ops/logps/logit-chunks.ts';
import type { CausalLM, ModelConfig, WeightSpec } from '../causal-lm.ts';
import { describeBackbone, describeModel } from '../registry.ts';
import { headName } from '../weight-table.ts';
import { checkWeights } from './check-weights.ts';
import { type ComputeDType, copyWeight, FILE_DTYPE, throughRing } from './copy-weight.ts';
import { loadFrozen } from './frozen-weights.ts';
import type { QuantizedDType } from './quantize.ts';
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
  /**
   * Keeps the frozen weights of products in `dtype` itself, also where a GPU would rather read bf16 as f16: the reference of a model
   * whose every weight is trained, so that both go by the same kernels.
   */
  readonly exactDType?: boolean;
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
  const specs = trainedSpecs(gpu, weights, options.train);
  const sharing = options.train === 'full' ? gpu.runtime.ranks : undefined;
  const trained = specs.length === 0 ? undefined : new ParameterSlabs(gpu, specs, dtype, sharing);
  const frozen = new Map<string, Tensor>();
  const checksum = new Checksum();
  await throughRing(gpu, weights, async (ring) => {
    for (const spec of weights) {
      const { name } = spec;
      const parameter = trained?.parameters.get(name);
      if (parameter === undefined) {
        const isProduct = spec.loraTarget !== undefined || name === headName(config);
        const { quantize, exactDType = false } = options;
        const weight = { directory, spec, dtype, quantize, mayBeHalf: isProduct && !exactDType };
        frozen.set(name, await loadFrozen(gpu, ring, weight, checksum));
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
    await throughRing(gpu, [head], async (ring) => void (await copyWeight(ring, directory, name, head)));
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

function trainedSpecs(
  gpu: Gpu,
  weights: readonly WeightSpec[],
  train: LoadOptions['train'],
): readonly ParameterSpec[] {
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
    .flatMap(({ name, shape: [out, inner], inputOf }) => {
      const module = name.replace(/\.weight$/, '');
      // CPU adapters make every product by itself, and add up gradient norms in the order of the checkpoint.
      const stack = gpu.profile.kernels === 'gpu' ? inputOf : undefined;
      return [
        { name: `${module}.lora_A.weight`, shape: [r, inner], decays: true, stack },
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
