/**
 * Reads safetensors: an 8-byte little-endian header length, a JSON header {name: {dtype, shape, data_offsets}}, then the
 * bytes of all tensors end to end. Tensors are read range by range.
 */
import { InputError } from '../errors.ts';
import type { FileSource } from '../runtime/runtime.ts';
import { checkEntries, type PlacedEntry, parseHeader } from './safetensors-header.ts';

export type { TensorEntry } from './safetensors-dtypes.ts';

/** No model has a longer header; a claim beyond it is some other file. The reference implementation has the same limit. */
const MAX_HEADER_BYTES = 100_000_000;

export class SafetensorsFile {
  /** All tensors by name, in the order of their bytes. */
  readonly entries: ReadonlyMap<string, PlacedEntry>;
  readonly #source: FileSource;
  readonly #dataStart: number;

  private constructor(source: FileSource, dataStart: number, entries: ReadonlyMap<string, PlacedEntry>) {
    this.#source = source;
    this.#dataStart = dataStart;
    this.entries = entries;
  }

  /**
   * Takes over `source`: it is closed here when the file is not sound, else by `close`.
   * @throws InputError naming file, tensor and numbers
   */
  static async open(source: FileSource): Promise<SafetensorsFile> {
    try {
      const headerLength = await readHeaderLength(source);
      const text = new TextDecoder().decode(await source.readRange(8, headerLength));
      const dataStart = 8 + headerLength;
      const header = parseHeader(text, source.name);
      return new SafetensorsFile(
        source,
        dataStart,
        checkEntries(header, source.name, source.size - dataStart),
      );
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  /** All bytes of a small tensor, little-endian. */
  readTensor(name: string): Promise<Uint8Array<ArrayBuffer>> {
    return this.readRange(name, 0, this.#entry(name).byteLength);
  }

  /** Rows [first, first + count) of a tensor, where a row is everything behind the first dimension. */
  readTensorRows(name: string, first: number, count: number): Promise<Uint8Array<ArrayBuffer>> {
    const { shape, byteLength } = this.#entry(name);
    const rowBytes = byteLength / Math.max(1, shape[0] ?? 1);
    return this.readRange(name, first * rowBytes, count * rowBytes);
  }

  /** Bytes [offset, offset + length) of one tensor. @throws InputError when they are not inside it */
  async readRange(name: string, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const { start, byteLength } = this.#entry(name);
    if (!(offset >= 0 && length >= 0 && offset + length <= byteLength)) {
      throw new InputError(
        `${this.#source.name}: bytes ${offset} to ${offset + length} of ${name} were asked for, but it has ${byteLength}.`,
      );
    }
    return this.#source.readRange(this.#dataStart + start + offset, length);
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  #entry(name: string): PlacedEntry {
    const entry = this.entries.get(name);
    if (entry === undefined) throw new InputError(`${this.#source.name}: there is no tensor ${name}.`);
    return entry;
  }
}

async function readHeaderLength({ name, size, readRange }: FileSource): Promise<number> {
  if (size === 0) throw new InputError(`${name}: the file is empty; was the download cut off?`);
  if (size < 8)
    throw new InputError(
      `${name}: ${size} bytes are too few for a safetensors file; was the download cut off?`,
    );
  const prefix = await readRange(0, 8);
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  if (length > size - 8) {
    const pointer =
      new TextDecoder().decode(prefix) === 'version ' ? ' It looks like a Git LFS pointer.' : '';
    throw new InputError(
      `${name}: the header claims ${length} bytes, but only ${size - 8} follow; the file is truncated or no safetensors.${pointer}`,
    );
  }
  if (length > MAX_HEADER_BYTES)
    throw new InputError(
      `${name}: the header claims ${length} bytes, more than the ${MAX_HEADER_BYTES} of the format.`,
    );
  return Number(length);
}
