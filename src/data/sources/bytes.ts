/** The bytes of a file front to back in pieces, unpacked where they are compressed. Memory holds a few pieces. */
import { InputError } from '../../errors.ts';
import type { FileSource } from '../../runtime/runtime.ts';
import { reason } from '../json.ts';

export type Bytes = Uint8Array<ArrayBuffer>;

const PIECE_BYTES = 1 << 18;
/** What files of a kind begin with. */
export const MAGIC = {
  gzip: [0x1f, 0x8b],
  zstd: [0x28, 0xb5, 0x2f, 0xfd],
  parquet: [0x50, 0x41, 0x52, 0x31],
} as const;

/** How a file is compressed, by its first bytes; its name may say anything. */
export type Compression = 'gzip' | 'zstd' | 'none';

export function compressionOf(head: Uint8Array): Compression {
  if (beginsWith(head, MAGIC.gzip)) return 'gzip';
  return beginsWith(head, MAGIC.zstd) ? 'zstd' : 'none';
}

export function beginsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, i) => bytes[i] === byte);
}

/** @throws InputError naming the file where compressed data are damaged or end early */
export async function* unpackedBytes(source: FileSource, compression: Compression): AsyncGenerator<Bytes> {
  const unpack = { none: undefined, gzip: gunzip, zstd: unzstd }[compression];
  if (unpack === undefined) {
    yield* pieces(source);
    return;
  }
  // Errors of reading keep their own words.
  let failure: unknown;
  const read = async function* () {
    try {
      yield* pieces(source);
    } catch (error) {
      failure = error;
      throw error;
    }
  };
  const unpacked = unpack(read());
  for (;;) {
    let next: IteratorResult<Bytes>;
    try {
      next = await unpacked.next();
    } catch (error) {
      if (failure !== undefined) throw failure;
      const why = reason(error);
      throw new InputError(
        `${source.name}: the ${compression} data are damaged or cut off (${why}); write or download the file again`,
      );
    }
    if (next.done) return;
    yield next.value;
  }
}

async function* pieces(source: FileSource): AsyncGenerator<Bytes> {
  for (let offset = 0; offset < source.size; offset += PIECE_BYTES) {
    yield await source.readRange(offset, Math.min(PIECE_BYTES, source.size - offset));
  }
}

async function* gunzip(packed: AsyncGenerator<Bytes>): AsyncGenerator<Bytes> {
  const stream = new ReadableStream<Bytes>({
    async pull(controller) {
      const { done, value } = await packed.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  });
  const reader = stream.pipeThrough(new DecompressionStream('gzip')).getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** No platform has Zstandard everywhere yet. */
async function* unzstd(packed: AsyncGenerator<Bytes>): AsyncGenerator<Bytes> {
  const { Decompress } = await import('fzstd');
  let parts: Bytes[] = [];
  const stream = new Decompress((part) => {
    if (part.length > 0) parts.push(new Uint8Array(part));
  });
  for await (const piece of packed) {
    stream.push(piece);
    yield* parts;
    parts = [];
  }
  stream.push(new Uint8Array(0), true);
  yield* parts;
}
