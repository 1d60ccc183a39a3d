/**
 * Reference log-probs and hidden states on disk. They depend on the reference's weights and compute type, on the token ids (and so on
 * tokenizer, template and truncation), on the adapter that computed them and on the kernels it chose; a file is named by a digest of all of
 * these, so a stale one is never found rather than refused.
 */

import { answersOf, shapeOf } from '../data/batches.ts';
import type { Example } from '../data/examples.ts';
import { Digest } from '../digest.ts';
import { ModelDirectory } from '../formats/model-directory.ts';
import { PeftAdapter } from '../formats/peft.ts';
import { SafetensorsFile } from '../formats/safetensors.ts';
import { tensorBytes } from '../formats/safetensors-dtypes.ts';
import { type OutputTensor, writeSafetensors } from '../formats/safetensors-writer.ts';
import type { Gpu } from '../gpu/device.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import { HIDDEN_TENSOR, HiddenStates } from './hidden-states.ts';

type Kind = 'logps' | 'hidden';

/** Weights are digested whole, piece by piece: a single changed embedding row must not be missed. */
const PIECE_BYTES = 4 * 2 ** 20;
const LOGPS_TENSOR = 'logps';

export interface CacheKey {
  readonly gpu: Gpu;
  /** Directory of the reference model. */
  readonly model: string;
  /** Directory of the PEFT adapter that it has. */
  readonly adapter?: string | undefined;
  /** Type of the weights' compute copies. */
  readonly dtype: string;
}

export class ReferenceCache {
  readonly directory: string;
  readonly #files: FileSystem;
  readonly #model: Uint8Array;

  private constructor(files: FileSystem, directory: string, model: Uint8Array) {
    this.directory = directory;
    this.#files = files;
    this.#model = model;
  }

  /** Digests the model; nothing is written before `write`. */
  static async open(directory: string, { gpu, model, adapter, dtype }: CacheKey): Promise<ReferenceCache> {
    const { files } = gpu.runtime;
    const digest = new Digest();
    await digest.add(JSON.stringify([dtype, gpu.adapterName, gpu.driver, gpu.profile.kernels]));
    await digest.add(gpu.choices.fingerprint);
    await addWeights(digest, await ModelDirectory.open(files, model));
    if (adapter !== undefined) await addWeights(digest, await PeftAdapter.open(files, adapter));
    return new ReferenceCache(files, directory, await digest.bytes());
  }

  /** @returns log-probs of the response tokens, per example in the order its answers are packed, if they are kept. */
  async read(examples: readonly Example[]): Promise<Float32Array[] | undefined> {
    if (examples.length === 0) return [];
    const file = await this.#open('logps', examples);
    if (file === undefined) return undefined;
    try {
      const bytes = await file.readTensor(LOGPS_TENSOR);
      const values = new Float32Array(bytes.slice().buffer);
      let offset = 0;
      return examples.map((example) => {
        const start = offset;
        offset += shapeOf(example).rows;
        return values.slice(start, offset);
      });
    } finally {
      await file.close();
    }
  }

  async write(examples: readonly Example[], logps: readonly Float32Array[]): Promise<void> {
    const count = logps.reduce((n, part) => n + part.length, 0);
    const read = () => logps.map(bytesOf);
    await this.#write('logps', examples, { name: LOGPS_TENSOR, dtype: 'F32', shape: [count], read });
  }

  /** @returns the reference's hidden states, if they are kept. Whoever asks closes them. */
  async openHidden(examples: readonly Example[]): Promise<HiddenStates | undefined> {
    const file = await this.#open('hidden', examples);
    return file && new HiddenStates(file, examples);
  }

  /** @param pieces f32 rows of `width` numbers, in the order of the data set; taken one after the other */
  async writeHidden(
    examples: readonly Example[],
    width: number,
    pieces: AsyncIterable<Float32Array>,
  ): Promise<void> {
    const rows = examples.reduce((n, example) => n + shapeOf(example).rows, 0);
    const read = async function* () {
      for await (const piece of pieces) yield bytesOf(piece);
    };
    await this.#write('hidden', examples, { name: HIDDEN_TENSOR, dtype: 'F32', shape: [rows, width], read });
  }

  async #open(kind: Kind, examples: readonly Example[]): Promise<SafetensorsFile | undefined> {
    const path = await this.#pathOf(kind, examples);
    if (!(await this.#files.exists(path))) return undefined;
    return SafetensorsFile.open(await this.#files.open(path));
  }

  /** The file takes its name when it is complete. */
  async #write(kind: Kind, examples: readonly Example[], tensor: OutputTensor): Promise<void> {
    const path = await this.#pathOf(kind, examples);
    await this.#files.makeDirectory(this.directory);
    const sink = await this.#files.create(`${path}.tmp`);
    try {
      await writeSafetensors(sink, [tensor]);
    } finally {
      await sink.close();
    }
    await this.#files.rename(`${path}.tmp`, path);
  }

  async #pathOf(kind: Kind, examples: readonly Example[]): Promise<string> {
    const digest = new Digest();
    await digest.add(this.#model);
    for (const example of examples) {
      const answers = answersOf(example).flatMap(({ ids, lossMask }) => [
        ids,
        ...(lossMask ? [lossMask] : []),
      ]);
      const parts = [example.promptIds, ...answers];
      await digest.add(Int32Array.from([parts.length, ...parts.flatMap((ids) => [ids.length, ...ids])]));
    }
    return `${this.directory}/${kind}-${(await digest.hex()).slice(0, 32)}.safetensors`;
  }
}

/** Adds the settings and every tensor of a model or an adapter, and closes it. */
async function addWeights(digest: Digest, source: ModelDirectory | PeftAdapter): Promise<void> {
  try {
    await digest.add(JSON.stringify(source.config));
    for (const entry of source.tensors.values()) {
      const { name, dtype, shape } = entry;
      await digest.add(JSON.stringify([name, dtype, shape]));
      const size = tensorBytes(entry);
      for (let offset = 0; offset < size; offset += PIECE_BYTES)
        await digest.add(await source.readRange(name, offset, Math.min(PIECE_BYTES, size - offset)));
    }
  } finally {
    await source.close();
  }
}

function bytesOf(part: Float32Array): Uint8Array {
  return new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
}
