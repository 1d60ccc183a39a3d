/**
 * Folds a LoRA adapter into the weights it sits on, in host memory, a few rows of a matrix at a time:
 *
 *   W' = W + (alpha / r) B A        W [out, in], A [r, in], B [out, r]; added in f32 (the sum over r in f64), rounded to the dtype of W
 */
import { InputError, InputErrors } from '../../errors.ts';
import { allFinite, type FloatDType, narrow, widen } from '../../formats/half.ts';
import { ModelDirectory } from '../../formats/model-directory.ts';
import { modelFiles } from '../../formats/model-files.ts';
import type { ModelLocation } from '../../formats/model-location.ts';
import type { OutputFile } from '../../formats/output-file.ts';
import { PeftAdapter } from '../../formats/peft.ts';
import { dtypeBytes, type TensorEntry } from '../../formats/safetensors-dtypes.ts';
import type { OutputTensor } from '../../formats/safetensors-writer.ts';
import type { FileSystem } from '../../runtime/runtime.ts';

/** Numbers of a matrix that are held at once. */
const PIECE = 2 ** 20;

/** What a merge consists of; `close` when it is written. */
export interface Merge {
  readonly config: PeftAdapter['config'];
  readonly files: OutputFile[];
  /** Matrices that change. */
  readonly modules: number;
  close(): Promise<void>;
}

/**
 * The merged model as files to be written, with tokenizer and chat template of the adapter where it has them.
 * @throws InputError for a location without an adapter, InputErrors naming every module that does not fit
 */
export async function openMerge(
  files: FileSystem,
  { path, adapter, tokenizer }: ModelLocation,
): Promise<Merge> {
  if (adapter === undefined) throw new InputError(`${path}: there is no adapter to merge; name one.`);
  const base = await ModelDirectory.open(files, path);
  const lora = await PeftAdapter.open(files, adapter).catch(async (error: unknown) => {
    await base.close();
    throw error;
  });
  const close = async () => {
    await base.close();
    await lora.close();
  };
  try {
    const modules = new Set([...lora.tensors.keys()].map((name) => name.replace(/\.lora_[AB]\.weight$/, '')));
    checkModules(base, lora, modules);
    const tensors = [...base.tensors.values()].map((entry): OutputTensor => {
      const module = entry.name.replace(/\.weight$/, '');
      const read = modules.has(module)
        ? () => mergedRows(base, lora, module)
        : () => copiedRows(base, entry.name);
      return { ...entry, read };
    });
    const dtype = mostFrequent(tensors.map((tensor) => tensor.dtype as FloatDType));
    const made = await modelFiles(files, path, tensors, { dtype, tokenizerDirectory: tokenizer });
    return { config: lora.config, files: made, modules: modules.size, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function checkModules(base: ModelDirectory, lora: PeftAdapter, modules: ReadonlySet<string>): void {
  const problems: string[] = [];
  for (const module of modules) {
    const weight = base.tensors.get(`${module}.weight`);
    const [a, b] = ['A', 'B'].map((half) => lora.tensors.get(`${module}.lora_${half}.weight`)?.shape);
    if (weight === undefined) problems.push(`${module}: the model has no such module`);
    else if (weight.shape.join() !== `${b?.[0]},${a?.[1]}`)
      problems.push(`${module}: has shape [${weight.shape}], the adapter is for [${b?.[0]},${a?.[1]}]`);
    else if (!['F32', 'F16', 'BF16'].includes(weight.dtype))
      problems.push(`${module}: ${weight.dtype} is not supported, only F32, F16 and BF16`);
  }
  if (problems.length > 0) throw new InputErrors(`${lora.path} does not fit ${base.path}:`, problems);
}

/** Rows of a tensor as they are, a piece at a time. */
async function* copiedRows(base: ModelDirectory, name: string): AsyncGenerator<Uint8Array> {
  const entry = base.tensors.get(name);
  if (entry === undefined) throw new RangeError(`There is no tensor ${name}.`);
  const bytes = entry.shape.reduce((n, size) => n * size, dtypeBytes(entry.dtype) ?? 1);
  for (let offset = 0; offset < bytes; offset += 4 * PIECE)
    yield finite(base, entry, await base.readRange(name, offset, Math.min(4 * PIECE, bytes - offset)));
}

/** @throws InputError where the merged model would have values that no model can use */
function finite(
  { path }: ModelDirectory,
  { name, dtype }: TensorEntry,
  bytes: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  // Other dtypes are of no float weights.
  if (!(dtype === 'F32' || dtype === 'F16' || dtype === 'BF16') || allFinite(bytes, dtype)) return bytes;
  throw new InputError(
    `${path}: ${name} would have values that are not finite: weights or adapter are damaged, or alpha / r is too large.`,
  );
}

async function* mergedRows(
  base: ModelDirectory,
  lora: PeftAdapter,
  module: string,
): AsyncGenerator<Uint8Array> {
  const name = `${module}.weight`;
  const entry = base.tensors.get(name);
  if (entry === undefined) throw new RangeError(`There is no tensor ${name}.`);
  const [out, inner] = entry.shape;
  const dtype = entry.dtype as FloatDType;
  const half = async (letter: string) => {
    const pair = `${module}.lora_${letter}.weight`;
    return widen(await lora.readTensor(pair), lora.tensors.get(pair)?.dtype as FloatDType);
  };
  const [a, b] = [await half('A'), await half('B')];
  const { r, alpha } = lora.config;
  const step = Math.max(1, Math.floor(PIECE / inner));
  for (let first = 0; first < out; first += step) {
    const rows = Math.min(step, out - first);
    const weight = widen(await base.readTensorRows(name, first, rows), dtype);
    addProduct(weight, a, b.subarray(first * r, (first + rows) * r), { r, inner, scale: alpha / r });
    yield finite(base, entry, narrow(weight, dtype));
  }
}

/** W += scale B A, in place; W [rows, inner], B [rows, r], A [r, inner]. */
function addProduct(
  weight: Float32Array,
  a: Float32Array,
  b: Float32Array,
  { r, inner, scale }: { readonly r: number; readonly inner: number; readonly scale: number },
): void {
  const sum = new Float64Array(inner);
  for (let row = 0; row * inner < weight.length; row++) {
    sum.fill(0);
    for (let k = 0; k < r; k++) {
      const factor = b[row * r + k];
      if (factor === 0) continue;
      for (let i = 0; i < inner; i++) sum[i] += factor * a[k * inner + i];
    }
    for (let i = 0; i < inner; i++) weight[row * inner + i] += scale * sum[i];
  }
}

function mostFrequent(dtypes: readonly FloatDType[]): FloatDType {
  const count = (dtype: FloatDType) => dtypes.filter((other) => other === dtype).length;
  return (['F32', 'F16', 'BF16'] as const).reduce((most, dtype) =>
    count(dtype) > count(most) ? dtype : most,
  );
}
