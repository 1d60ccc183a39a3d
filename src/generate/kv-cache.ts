/** Keys and values of all layers on the GPU, in blocks. The cache begins small and doubles as tokens come. */
import { allocateTensor, freeTensor, type Tensor, whole } from '../autograd/tensor.ts';
import { bufferOf, type Gpu } from '../gpu/device.ts';
import type { CausalLM } from '../models/causal-lm.ts';
import { BLOCK_TOKENS, type LayerCache } from '../ops/attention/paged-attention.ts';

export class KvCache {
  readonly #gpu: Gpu;
  readonly #model: CausalLM;
  #blocks = 0;
  #layers: LayerCache[] = [];

  constructor(gpu: Gpu, model: CausalLM) {
    this.#gpu = gpu;
    this.#model = model;
  }

  /** Bytes of one block in all layers. */
  static blockBytes(model: CausalLM): number {
    return model.attention.reduce(
      (sum, { kvHeads, headDim }) => sum + 2 * 4 * BLOCK_TOKENS * kvHeads * headDim,
      0,
    );
  }

  /** Most blocks that one binding of this adapter holds. */
  static mostBlocks(gpu: Gpu, model: CausalLM): number {
    const widest = Math.max(...model.attention.map(({ kvHeads, headDim }) => kvHeads * headDim));
    return Math.floor(gpu.maxBindingBytes / (4 * BLOCK_TOKENS * widest));
  }

  get blocks(): number {
    return this.#blocks;
  }

  layer(index: number): LayerCache {
    return this.#layers[index];
  }

  /** Makes room for so many blocks, keeping what is there. Tensors of layers are other ones then. */
  grow(blocks: number): void {
    const before = this.#layers;
    this.#layers = this.#model.attention.map(({ kvHeads, headDim }, layer): LayerCache => {
      const tensor = (what: string) =>
        allocateTensor(
          this.#gpu,
          `${what} of layer ${layer}`,
          [blocks * BLOCK_TOKENS, kvHeads * headDim],
          'f32',
          'cache',
        );
      return { keys: tensor('keys'), values: tensor('values') };
    });
    const encoder = this.#gpu.device.createCommandEncoder();
    const copy = (from: Tensor, to: Tensor) =>
      encoder.copyBufferToBuffer(
        bufferOf(whole(from).storage),
        0,
        bufferOf(whole(to).storage),
        0,
        whole(from).byteLength,
      );
    before.forEach(({ keys, values }, layer) => {
      copy(keys, this.#layers[layer].keys);
      copy(values, this.#layers[layer].values);
    });
    this.#gpu.device.queue.submit([encoder.finish()]);
    this.#blocks = blocks;
    free(this.#gpu, before);
  }

  free(): void {
    free(this.#gpu, this.#layers);
    this.#layers = [];
    this.#blocks = 0;
  }
}

function free(gpu: Gpu, layers: readonly LayerCache[]): void {
  for (const tensor of layers.flatMap(({ keys, values }) => [keys, values])) freeTensor(gpu, tensor);
}
