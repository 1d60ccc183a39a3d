/**
 * safetensors: an 8-byte little-endian header length, a JSON header {name: {dtype, shape, data_offsets}}, then the bytes
 * of all tensors end to end. Everything is checked before a single tensor is read.
 */
import { InputError, InputErrors } from '../errors.ts';
import type { FileSink, FileSource } from '../runtime/runtime.ts';

/** Every dtype of the format and its bytes per element. */
const DTYPE_BYTES: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
};

export interface TensorEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
}

interface PlacedEntry extends TensorEntry {
  readonly start: number;
  readonly byteLength: number;
}

export class SafetensorsFile {
  readonly entries: ReadonlyMap<string, PlacedEntry>;
  readonly #source: FileSource;
  readonly #dataStart: number;

  private constructor(source: FileSource, dataStart: number, entries: ReadonlyMap<string, PlacedEntry>) {
    this.#source = source;
    this.#dataStart = dataStart;
    this.entries = entries;
  }

  /** @throws InputError naming file, tensor and numbers when the file is not sound. */
  static async open(source: FileSource): Promise<SafetensorsFile> {
    const { name, size } = source;
    if (size < 8)
      throw new InputError(
        `${name}: ${size} bytes are too few for a safetensors file; was the download cut off?`,
      );
    const prefix = await source.readRange(0, 8);
    const headerLength = Number(new DataView(prefix.buffer).getBigUint64(0, true));
    if (headerLength > size - 8) {
      throw new InputError(
        `${name}: the header claims ${headerLength} bytes, but only ${size - 8} follow; the file is truncated or no safetensors.`,
      );
    }
    const header = parseHeader(new TextDecoder().decode(await source.readRange(8, headerLength)), name);
    return new SafetensorsFile(source, 8 + headerLength, checkEntries(header, name, size - 8 - headerLength));
  }

  /** Bytes [offset, offset + length) of one tensor. */
  async readRange(name: string, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const entry = this.entries.get(name);
    if (entry === undefined) throw new InputError(`${this.#source.name}: there is no tensor ${name}.`);
    return this.#source.readRange(this.#dataStart + entry.start + offset, length);
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}

function parseHeader(text: string, file: string): Record<string, unknown> {
  try {
    const header: unknown = JSON.parse(text);
    if (typeof header === 'object' && header !== null && !Array.isArray(header))
      return header as Record<string, unknown>;
  } catch {
    // The message below says it for both cases.
  }
  throw new InputError(`${file}: the header is not a JSON object; this is no safetensors file.`);
}

function checkEntries(
  header: Record<string, unknown>,
  file: string,
  dataBytes: number,
): Map<string, PlacedEntry> {
  const problems: string[] = [];
  const entries: PlacedEntry[] = [];
  for (const [name, raw] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const entry = checkEntry(name, raw);
    if (typeof entry === 'string') problems.push(`${name}: ${entry}`);
    else entries.push(entry);
  }
  entries.sort((a, b) => a.start - b.start || a.byteLength - b.byteLength);
  let end = 0;
  for (const entry of entries) {
    if (entry.start < end)
      problems.push(
        `${entry.name}: begins at byte ${entry.start}, inside the tensor before it, which ends at ${end}`,
      );
    if (entry.start > end)
      problems.push(`${entry.name}: begins at byte ${entry.start}, leaving a hole after byte ${end}`);
    end = Math.max(end, entry.start + entry.byteLength);
  }
  if (end > dataBytes)
    problems.push(`the tensors need ${end} bytes, but the file holds ${dataBytes}: it is truncated`);
  if (end < dataBytes && problems.length === 0)
    problems.push(
      `the tensors need ${end} bytes, but the file holds ${dataBytes}: there is something behind them`,
    );
  if (problems.length > 0) throw new InputErrors(`${file} is not a sound safetensors file:`, problems);
  return new Map(entries.map((e) => [e.name, e]));
}

function checkEntry(name: string, raw: unknown): PlacedEntry | string {
  if (typeof raw !== 'object' || raw === null) return 'its header entry is not an object';
  const { dtype, shape, data_offsets: offsets } = raw as Record<string, unknown>;
  const size = typeof dtype === 'string' ? DTYPE_BYTES[dtype] : undefined;
  if (typeof dtype !== 'string' || size === undefined) return `unknown dtype ${JSON.stringify(dtype)}`;
  const isSize = (n: unknown): n is number => typeof n === 'number' && Number.isInteger(n) && n >= 0;
  if (!Array.isArray(shape) || !shape.every(isSize)) return `bad shape ${JSON.stringify(shape)}`;
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize))
    return `bad data_offsets ${JSON.stringify(offsets)}`;
  const [start, end]: number[] = offsets;
  const expected = shape.reduce((n, d) => n * d, size);
  if (end - start !== expected)
    return `${dtype} of shape [${shape}] takes ${expected} bytes, but data_offsets give ${end - start}`;
  return { name, dtype, shape, start, byteLength: expected };
}

/** Writes the header for `entries`; the caller then writes each tensor's bytes in the same order. */
export async function writeSafetensorsHeader(sink: FileSink, entries: readonly TensorEntry[]): Promise<void> {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let offset = 0;
  for (const { name, dtype, shape } of entries) {
    const end = offset + shape.reduce((n, d) => n * d, DTYPE_BYTES[dtype]);
    header[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = JSON.stringify(header);
  const bytes = new TextEncoder().encode(text);
  // Readers map the data: it starts on a multiple of eight, reached with spaces.
  const padding = (8 - (bytes.length % 8)) % 8;
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, BigInt(bytes.length + padding), true);
  await sink.write(new Uint8Array(length.buffer));
  await sink.write(bytes);
  if (padding > 0) await sink.write(' '.repeat(padding));
}
