/** Files as one archive, stored as they are: weights do not compress. */
import { Zip, ZipPassThrough } from 'fflate';
import type { NamedFile } from '../worker/protocol.ts';

export async function zipped(files: readonly NamedFile[]): Promise<Blob> {
  const parts: BlobPart[] = [];
  let failure: Error | undefined;
  const zip = new Zip((error, chunk) => {
    if (error !== null) failure = error;
    else parts.push(new Uint8Array(chunk));
  });
  for (const { path, file } of files) {
    const entry = new ZipPassThrough(path);
    zip.add(entry);
    for await (const piece of piecesOf(file)) entry.push(piece);
    entry.push(new Uint8Array(), true);
  }
  zip.end();
  if (failure !== undefined) throw failure;
  return new Blob(parts, { type: 'application/zip' });
}

const PIECE = 4 * 2 ** 20;

async function* piecesOf(file: Blob): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < file.size; start += PIECE)
    yield new Uint8Array(await file.slice(start, start + PIECE).arrayBuffer());
}
