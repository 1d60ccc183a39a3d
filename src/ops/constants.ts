/** Numbers that a kernel reads from memory rather than from its pipeline, so that many shapes share one pipeline. */
import { allocateTensor, upload, whole } from '../autograd/tensor.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Slice } from '../gpu/memory.ts';

const known = new WeakMap<Gpu, Map<string, Slice>>();

/** `words` on the GPU, made once per device and content. */
export function constantsOnGpu(gpu: Gpu, words: Uint32Array<ArrayBuffer>): Slice {
  const onThis = known.get(gpu) ?? new Map<string, Slice>();
  known.set(gpu, onThis);
  const key = words.join(' ');
  const existing = onThis.get(key);
  if (existing !== undefined) return existing;
  const tensor = allocateTensor(gpu, `constants ${key}`, [words.length], 'u32', 'state');
  upload(gpu, tensor, words);
  onThis.set(key, whole(tensor));
  return whole(tensor);
}

/** The bits of an f32, for `constantsOnGpu`. */
export function bitsOf(value: number): number {
  return new Uint32Array(Float32Array.of(value).buffer)[0];
}
