/** Writes safetensors front to back: the header from shapes alone, then one tensor after the other in pieces. */
import type { FileSink } from '../runtime/runtime.ts';
import type { OutputFile } from './output-file.ts';
import { dtypeBytes, type TensorEntry, tensorBytes } from './safetensors-dtypes.ts';

/** A tensor to be written. */
export interface OutputTensor extends TensorEntry {
  /** Its little-endian bytes in pieces of any size; called once, when its turn has come. */
  read(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/**
 * Writes a whole file. Tensors of wider dtypes come first, as readers that map the file want them aligned; otherwise the
 * given order is kept.
 * @param metadata - texts for `__metadata__`; transformers insists on `format: 'pt'`
 * @throws RangeError when a tensor yields other than its shape's number of bytes
 */
export async function writeSafetensors(
  sink: FileSink,
  tensors: readonly OutputTensor[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const ordered = [...tensors].sort((a, b) => (dtypeBytes(b.dtype) ?? 0) - (dtypeBytes(a.dtype) ?? 0));
  await sink.write(headerBytes(ordered, { format: 'pt', ...metadata }));
  for (const tensor of ordered) {
    const expected = tensorBytes(tensor);
    let written = 0;
    for await (const piece of tensor.read()) {
      written += piece.byteLength;
      if (written > expected) break;
      await sink.write(piece);
    }
    if (written !== expected)
      throw new RangeError(
        `${tensor.name}: [${tensor.shape}] ${tensor.dtype} takes ${expected} bytes, but ${written} came.`,
      );
  }
}

/** A safetensors file as part of a directory. */
export function safetensorsFile(
  name: string,
  tensors: readonly OutputTensor[],
  metadata: Readonly<Record<string, string>> = {},
): OutputFile {
  return { name, write: (sink) => writeSafetensors(sink, tensors, metadata) };
}

/** The length and the JSON of the header. */
function headerBytes(
  entries: readonly TensorEntry[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const header = new Map<string, unknown>([['__metadata__', metadata]]);
  let offset = 0;
  for (const entry of entries) {
    if (header.has(entry.name)) throw new RangeError(`${entry.name}: given twice.`);
    const end = offset + tensorBytes(entry);
    header.set(entry.name, { dtype: entry.dtype, shape: entry.shape, data_offsets: [offset, end] });
    offset = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  // The data starts on a multiple of eight, reached with spaces.
  const length = Math.ceil(text.length / 8) * 8;
  const bytes = new Uint8Array(8 + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(text, 8);
  return bytes;
}
