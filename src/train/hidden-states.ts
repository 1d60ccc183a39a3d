/** Reference hidden states on disk, read range by range: a data set's do not fit into memory. */
import { shapeOf } from '../data/batches.ts';
import type { Example } from '../data/examples.ts';
import type { SafetensorsFile } from '../formats/safetensors.ts';
import type { HiddenRows } from '../step/step-rows.ts';

export const HIDDEN_TENSOR = 'hidden';

export class HiddenStates implements HiddenRows {
  readonly #file: SafetensorsFile;
  readonly #width: number;
  /** First row of every example, and one past the last row of all. */
  readonly #starts: number[];

  /** @param file F32 [response tokens, hidden size] under HIDDEN_TENSOR, in the order of `examples`. Taken over. */
  constructor(file: SafetensorsFile, examples: readonly Example[]) {
    this.#file = file;
    this.#width = file.entries.get(HIDDEN_TENSOR)?.shape[1] ?? 0;
    this.#starts = [0];
    for (const example of examples) this.#starts.push((this.#starts.at(-1) ?? 0) + shapeOf(example).rows);
  }

  /** Rows of some examples one after the other, f32 [rows, hidden size]. */
  async read(indices: readonly number[]): Promise<Float32Array<ArrayBuffer>> {
    const counts = indices.map((i) => this.#starts[i + 1] - this.#starts[i]);
    const rows = counts.reduce((n, count) => n + count, 0);
    const bytes = new Uint8Array(4 * this.#width * rows);
    let offset = 0;
    for (const [n, i] of indices.entries()) {
      bytes.set(await this.#file.readTensorRows(HIDDEN_TENSOR, this.#starts[i], counts[n]), offset);
      offset += 4 * this.#width * counts[n];
    }
    return new Float32Array(bytes.buffer);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
