/**
 * Reference log-probs and hidden states on disk. They depend on the reference's weights and compute type, on the token ids (and so on
 * tokenizer, template and truncation), on the adapter that computed them and on the kernels it chose; a file is named by a digest of all of
 * these, so a stale one is never found rather than refused.
 */

import { answersOf, shapeOf } from '../data/batches.ts';
import type { Example } from '../data/examples.ts';
import { Digest } from '../digest.ts';
import { InputError } from '../errors.ts';
import { writeAtomically } from '../formats/atomic-file.ts';
import { Checksum } from '../formats/checksum.ts';
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
/** Eight hexadecimal digits. */
const CHECKSUM_TENSOR = 'checksum';

export interface CacheKey {
  readonly gpu: Pick<Gpu, 'runtime' | 'deviceName' | 'driver' | 'choices'> & {
    readonly profile: Pick<Gpu['profile'], 'kernels'>;
  };
  /** Directory of the reference model. */
  readonly model: string;
  /** Directory of the PEFT adapter that it has. */
  readonly adapter?: string | undefined;
  /** Type of the weights' compute copies. */
  readonly dtype: string;
  /** Told of files that are damaged. */
  readonly note?: (line: string) => void;
}

export class ReferenceCache {
  readonly directory: string;
  readonly #files: FileSystem;
  readonly #model: Uint8Array;
  readonly #note: (line: string) => void;

  private constructor(
    files: FileSystem,
    directory: string,
    model: Uint8Array,
    note: (line: string) => void = () => {},
  ) {
    this.directory = directory;
    this.#files = files;
    this.#model = model;
    this.#note = note;
  }

  /** Digests the model; nothing is written before `write`. */
  static async open(
    directory: string,
    { gpu, model, adapter, dtype, note }: CacheKey,
  ): Promise<ReferenceCache> {
    const { files } = gpu.runtime;
    const digest = new Digest();
    await digest.add(JSON.stringify([dtype, gpu.deviceName, gpu.driver, gpu.profile.kernels]));
    await digest.add(gpu.choices.fingerprint);
    await addWeights(digest, await ModelDirectory.open(files, model));
    if (adapter !== undefined) await addWeights(digest, await PeftAdapter.open(files, adapter));
    return new ReferenceCache(files, directory, await digest.bytes(), note);
  }

  /** @returns log-probs of the response tokens, per example in the order its answers are packed, if they are kept. */
  async read(examples: readonly Example[]): Promise<Float32Array[] | undefined> {
    if (examples.length === 0) return [];
    const file = await this.#open('logps', examples, { name: LOGPS_TENSOR, dimensions: 1 });
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
    const file = await this.#open('hidden', examples, { name: HIDDEN_TENSOR, dimensions: 2 });
    return file && new HiddenStates(file, examples);
  }

  /** @param pieces f32 rows of `width` numbers, in the order of the data set; taken one after the other */
  async writeHidden(
    examples: readonly Example[],
    width: number,
    pieces: AsyncIterable<Float32Array>,
  ): Promise<void> {
    const read = async function* () {
      for await (const piece of pieces) yield bytesOf(piece);
    };
    await this.#write('hidden', examples, {
      name: HIDDEN_TENSOR,
      dtype: 'F32',
      shape: [rowsOf(examples), width],
      read,
    });
  }

  /** @returns undefined also for a file that is damaged, which is made again */
  async #open(
    kind: Kind,
    examples: readonly Example[],
    wanted: Wanted,
  ): Promise<SafetensorsFile | undefined> {
    const path = await this.#pathOf(kind, examples);
    if (!(await this.#files.exists(path))) return undefined;
    try {
      const file = await SafetensorsFile.open(await this.#files.open(path));
      if (await isSound(file, wanted, rowsOf(examples))) return file;
      await file.close();
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
    }
    this.#note(`${path} is damaged, and is made again.`);
    return undefined;
  }

  /** The file takes its name when it is complete; other runs may write it at the same time. */
  async #write(kind: Kind, examples: readonly Example[], tensor: OutputTensor): Promise<void> {
    const path = await this.#pathOf(kind, examples);
    await this.#files.makeDirectory(this.directory);
    const sum = new Checksum();
    const summed: OutputTensor = {
      ...tensor,
      async *read() {
        for await (const piece of tensor.read()) {
          sum.add(piece);
          yield piece;
        }
      },
    };
    // Behind the tensor, when its checksum is known.
    const read = () => [new TextEncoder().encode(sum.hex())];
    const checksum: OutputTensor = { name: CHECKSUM_TENSOR, dtype: 'U8', shape: [8], read };
    await writeAtomically(
      this.#files,
      path,
      (write) => writeSafetensors({ write, close: async () => {} }, [summed, checksum]),
      { shared: true },
    );
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

/** The tensor that a file must hold: F32, one row per response token. */
interface Wanted {
  readonly name: string;
  readonly dimensions: 1 | 2;
}

async function isSound(file: SafetensorsFile, { name, dimensions }: Wanted, rows: number): Promise<boolean> {
  const entry = file.entries.get(name);
  if (entry?.dtype !== 'F32' || entry.shape.length !== dimensions || entry.shape[0] !== rows) return false;
  if (!file.entries.has(CHECKSUM_TENSOR)) return false;
  const sum = new Checksum();
  for (let offset = 0; offset < entry.byteLength; offset += PIECE_BYTES)
    sum.add(await file.readRange(name, offset, Math.min(PIECE_BYTES, entry.byteLength - offset)));
  return new TextDecoder().decode(await file.readTensor(CHECKSUM_TENSOR)) === sum.hex();
}

function rowsOf(examples: readonly Example[]): number {
  return examples.reduce((n, example) => n + shapeOf(example).rows, 0);
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
