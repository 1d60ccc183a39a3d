/** One file from the hub to disk: resumed where it broke off, and only named when complete. */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { RunError } from '../../errors.ts';
import { guarded } from '../file-errors.ts';
import { takeLock } from '../file-lock.ts';
import { causeOf, isUnreachable } from './errors.ts';

/** A file as the hub lists it. */
export interface RemoteFile {
  /** Name in messages. */
  readonly name: string;
  readonly size: number;
  /** SHA-256 of the contents, where the hub knows it (files in LFS). */
  readonly sha256: string | undefined;
  /** The bytes from `offset` on. */
  read(offset: number): Promise<ReadableStream<Uint8Array>>;
}

export type Note = (text: string) => void;

/** A broken connection is taken up again this often without a byte gained in between. */
const ATTEMPTS = 5;
const REPORT_MS = 10_000;
const POLL_MS = 500;

/** Downloads to `path`, unless it is there. Two processes that want the same file wait for each other. */
export async function download(file: RemoteFile, path: string, note: Note): Promise<void> {
  const lock = `${path}.lock`;
  let release = await takeLock(lock);
  if (release === null) note(`${file.name}: another process is downloading it; waiting.`);
  while (release === null) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    release = await takeLock(lock);
  }
  try {
    if (await exists(path)) return;
    const incomplete = `${path}.incomplete`;
    await guarded(incomplete, () => fill(file, incomplete, note));
    await fs.rename(incomplete, path);
  } finally {
    await release();
  }
}

/** Appends to what an earlier download left until the file is whole. */
async function fill(file: RemoteFile, path: string, note: Note): Promise<void> {
  // Parts are only put together where their sum can be checked.
  const before = file.sha256 === undefined ? 0 : await sizeOf(path);
  let have = before > file.size ? 0 : before;
  let parts = have > 0 ? 1 : 0;
  const handle = await fs.open(path, 'a');
  try {
    if (have === 0) await handle.truncate(0);
    note(`Downloading ${file.name} (${megabytes(file.size)}${have > 0 ? `, ${megabytes(have)} there` : ''})`);
    let failures = 0;
    const report = reporter(file, note);
    while (have < file.size) {
      const start = have;
      parts++;
      try {
        for await (const chunk of chunksOf(await file.read(have))) {
          await handle.write(chunk);
          have += chunk.length;
          report(have);
        }
        if (have < file.size) throw new Error('the connection ended early');
      } catch (error) {
        if (!isUnreachable(error)) throw error;
        if (file.sha256 === undefined) {
          await handle.truncate(0);
          have = 0;
        }
        failures = have > start ? 1 : failures + 1;
        if (failures === ATTEMPTS) {
          throw new RunError(
            `${file.name}: the download broke off at ${have} of ${file.size} bytes (${causeOf(error)}). Run again: it goes on from there.`,
          );
        }
        await new Promise((resolve) => setTimeout(resolve, 100 * 2 ** failures));
      }
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  const isWhole = have === file.size && (parts < 2 || (await hasDigest(path, file.sha256)));
  if (isWhole) return;
  await fs.rm(path, { force: true });
  throw new RunError(
    `${file.name}: the downloaded parts do not make up the file on the hub. Run again: it starts anew.`,
  );
}

function reporter({ name, size }: RemoteFile, note: Note): (have: number) => void {
  let last = performance.now();
  return (have) => {
    if (performance.now() - last < REPORT_MS) return;
    last = performance.now();
    note(`${name}: ${Math.floor((100 * have) / size)}% of ${megabytes(size)}`);
  };
}

async function* chunksOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } finally {
    await reader.cancel().catch(() => {});
  }
}

async function hasDigest(path: string, sha256: string | undefined): Promise<boolean> {
  if (sha256 === undefined) return true;
  const hash = createHash('sha256');
  const handle = await fs.open(path, 'r');
  try {
    for await (const chunk of handle.createReadStream({ autoClose: false })) hash.update(chunk);
  } finally {
    await handle.close();
  }
  return hash.digest('hex') === sha256;
}

async function sizeOf(path: string): Promise<number> {
  return fs.stat(path).then(
    (stat) => stat.size,
    () => 0,
  );
}

async function exists(path: string): Promise<boolean> {
  return fs.access(path).then(
    () => true,
    () => false,
  );
}

function megabytes(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
