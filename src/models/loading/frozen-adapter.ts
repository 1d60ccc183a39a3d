/** A model's adapter as it is now, held over the same frozen weights: training the model does not move it. */
import { allocateTensor, download, freeTensor, type Tensor, upload } from '../../autograd/tensor.ts';
import { encodeFloats } from '../../formats/half.ts';
import type { Gpu } from '../../gpu/device.ts';
import type { LoraPair } from '../../nn/projection.ts';
import type { LoadedModel } from './load.ts';

const HALF = { f16: 'F16', bf16: 'BF16' } as const;

/** Takes memory for the adapter alone. Freeing it leaves `loaded` as it is. */
export async function freezeAdapter(gpu: Gpu, loaded: LoadedModel): Promise<LoadedModel> {
  const { lora, trained } = loaded;
  if (lora === undefined || trained === undefined) throw new RangeError('The model has no adapter.');
  const frozen = new Map<string, Tensor>();
  for (const { name, shape, master, tensor } of trained.parameters.values()) {
    const { dtype } = tensor;
    const copy = allocateTensor(gpu, `frozen ${name}`, shape, dtype, 'reference');
    const values = await download(gpu, master);
    upload(gpu, copy, dtype === 'f32' ? values : encodeFloats(values, HALF[dtype as keyof typeof HALF]));
    frozen.set(name, copy);
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
      for (const tensor of frozen.values()) freeTensor(gpu, tensor);
    },
  };
}
