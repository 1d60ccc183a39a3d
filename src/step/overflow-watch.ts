/**
 * Finds the tensor in which a step first stopped being finite: `training.debug: underflow_overflow`. A record per tensor
 * that a recorded step computes holds its largest absolute value (absmax), up to the first step that is not finite.
 */

import type { Observe } from '../autograd/tape.ts';
import type { Tensor } from '../autograd/tensor.ts';
import type { Workspace } from '../autograd/workspace.ts';
import { BINDING_ALIGNMENT, type Slice, type Storage } from '../gpu/memory.ts';
import type { Recorder } from '../gpu/program.ts';
import { recordAbsmax } from '../ops/reduction/absmax.ts';

/** Records are allocated so many at a time; each starts where a binding may. */
const CHUNK = 1024;

interface Watched {
  readonly name: string;
  readonly record: Slice;
}

export class OverflowWatch {
  readonly #workspace: Workspace;
  readonly #norm: Tensor;
  readonly #chunks: Storage[] = [];
  readonly #watched: Watched[] = [];

  /** @param norm the optimizer's, which knows whether a step was not finite. */
  constructor(workspace: Workspace, norm: Tensor) {
    this.#workspace = workspace;
    this.#norm = norm;
  }

  /** What a tape that records a step is given. */
  observe(recorder: Recorder): Observe {
    return (name, tensor) => {
      if (tensor.dtype !== 'f32' && tensor.dtype !== 'f16') return;
      const record = this.#newRecord();
      this.#watched.push({ name, record });
      recordAbsmax(recorder, tensor, record, this.#norm);
    };
  }

  /** Says where the first step that was not finite stopped being so. */
  async report(): Promise<string> {
    const values: { readonly name: string; readonly value: number }[] = [];
    for (const [i, storage] of this.#chunks.entries()) {
      const bytes = await this.#workspace.gpu.read({
        storage,
        byteOffset: 0,
        byteLength: storage.byteLength,
      });
      const floats = new Float32Array(bytes);
      for (const { name, record } of this.#watched.slice(i * CHUNK, (i + 1) * CHUNK))
        values.push({ name, value: floats[record.byteOffset / 4] });
    }
    const first = values.find(({ value }) => !Number.isFinite(value));
    if (first === undefined) return 'Every tensor of the step was finite.';
    const absmax = values
      .filter(({ value }) => Number.isFinite(value))
      .reduce((most, one) => (one.value > most.value ? one : most), { name: 'none', value: 0 });
    return (
      `First not finite: ${first.name}. ` +
      `The largest finite value so far: ${absmax.value.toPrecision(3)} in ${absmax.name}.`
    );
  }

  #newRecord(): Slice {
    const index = this.#watched.length % CHUNK;
    if (index === 0)
      this.#chunks.push(this.#workspace.storage('absmax records', CHUNK * BINDING_ALIGNMENT, 'state'));
    const storage = this.#chunks[this.#chunks.length - 1];
    return { storage, byteOffset: index * BINDING_ALIGNMENT, byteLength: 4 };
  }
}
