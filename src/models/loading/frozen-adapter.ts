/** A model's adapter as it is now, held over the same frozen weights: training the model does not move it. */
import {
  alignUp,
  allocateTensor,
  bytesPerElement,
  download,
  freeTensor,
  rowLength,
  rowRange,
  type Tensor,
  upload,
} from '../../autograd/tensor.ts';
import { encodeFloats } from '../../formats/half.ts';
import type { Gpu } from '../../gpu/device.ts';
import type { TrainedParameter } from '../../nn/parameters.ts';
import type { LoraPair } from '../../nn/projection.ts';
import type { LoadedModel } from './load.ts';

const HALF = { f16: 'F16', bf16: 'BF16' } as const;

/** Takes memory for the adapter alone. Freeing it leaves `loaded` as it is. */
export async function freezeAdapter(gpu: Gpu, loaded: LoadedModel): Promise<LoadedModel> {
  const { lora, trained } = loaded;
  if (lora === undefined || trained === undefined) throw new RangeError('The model has no adapter.');
  const frozen = new Map<string, Tensor>();
  const owned: Tensor[] = [];
  for (const stack of stacksOf([...trained.parameters.values()])) {
    const { copies, all } = allocateStack(gpu, stack);
    owned.push(all);
    for (const [i, { name, master, tensor }] of stack.entries()) {
      const { dtype } = tensor;
      const values = await download(gpu, master);
      const bytes = dtype === 'f32' ? values : encodeFloats(values, HALF[dtype as keyof typeof HALF]);
      upload(gpu, copies[i], bytes);
      frozen.set(name, copies[i]);
    }
  }
  const pair = (module: string): LoraPair | undefined => {
    const a = frozen.get(`${module}.lora_A.weight`);
    const b = frozen.get(`${module}.lora_B.weight`);
    return a && b && { a, b, scale: lora.alpha / lora.r };
  };
  return {
    ...loaded,
    model: loaded.withPairs(pair),
    trained: undefined,
    roundMasters: async () => {},
    free() {
      for (const tensor of owned) freeTensor(gpu, tensor);
    },
  };
}

/** Parameters that lie one after the other (ParameterSpec.stack), or each one alone. */
function stacksOf(parameters: readonly TrainedParameter[]): readonly (readonly TrainedParameter[])[] {
  const stacks = new Map<string, TrainedParameter[]>();
  for (const parameter of parameters) {
    const { name, shape, stack, tensor } = parameter;
    const bytes = shape[0] * rowLength(shape) * bytesPerElement(tensor.dtype);
    const key = stack === undefined || bytes !== alignUp(bytes) ? `alone: ${name}` : stack;
    stacks.set(key, [...(stacks.get(key) ?? []), parameter]);
  }
  return [...stacks.values()];
}

/** Memory for copies of a stack, which lie as it does, and the tensor that owns it. */
function allocateStack(gpu: Gpu, stack: readonly TrainedParameter[]) {
  const [{ shape, tensor }] = stack;
  const rows = stack.map((parameter) => parameter.shape[0]);
  const total = rows.reduce((sum, count) => sum + count, 0);
  const label = stack.map(({ name }) => `frozen ${name}`).join(', ');
  const all = allocateTensor(gpu, label, [total, ...shape.slice(1)], tensor.dtype, 'reference');
  if (stack.length === 1) return { copies: [all], all };
  let end = 0;
  const copies = stack.map(({ name }, i) => {
    const start = end;
    end += rows[i];
    return { ...rowRange(all, start, rows[i]), label: `frozen ${name}` };
  });
  return { copies, all };
}
