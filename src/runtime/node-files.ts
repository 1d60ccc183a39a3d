/** The file system of Node, which Deno offers under the same names. */
import * as fs from 'node:fs/promises';
import { dirname } from 'node:path';
import { InputError, RunError } from '../errors.ts';
import type { FileSink, FileSource, FileSystem } from './runtime.ts';

export const nodeFiles: FileSystem = {
  open: (path) => guarded(path, () => openSource(path)),
  readText: (path) => guarded(path, () => fs.readFile(path, 'utf8')),
  create: (path) => guarded(path, async () => sinkOf(path, await fs.open(path, 'w'))),
  append: (path, offset) =>
    guarded(path, async () => {
      if (offset !== undefined) await fs.truncate(path, offset);
      return sinkOf(path, await fs.open(path, 'a'));
    }),
  exists: (path) =>
    fs.stat(path).then(
      () => true,
      () => false,
    ),
  isDirectory: (path) =>
    fs.stat(path).then(
      (stat) => stat.isDirectory(),
      () => false,
    ),
  list: (path) => guarded(path, async () => (await fs.readdir(path)).sort()),
  makeDirectory: (path) => guarded(path, async () => void (await fs.mkdir(path, { recursive: true }))),
  rename: (from, to) =>
    guarded(to, async () => {
      await fs.rename(from, to);
      await syncDirectory(dirname(to));
    }),
  remove: (path) => guarded(path, () => fs.rm(path, { recursive: true, force: true })),
  lock: (path) => guarded(path, () => takeLock(path)),
};

async function openSource(path: string): Promise<FileSource> {
  const handle = await fs.open(path, 'r');
  const { size } = await handle.stat();
  return {
    name: path,
    size,
    async readRange(offset, length) {
      if (offset < 0 || offset + length > size) {
        throw new InputError(
          `${path}: bytes ${offset} to ${offset + length} were asked for, but the file has ${size}.`,
        );
      }
      const bytes = new Uint8Array(length);
      let done = 0;
      while (done < length) {
        const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
        if (bytesRead === 0) throw new InputError(`${path}: the file became shorter while it was read.`);
        done += bytesRead;
      }
      return bytes;
    },
    close: () => handle.close(),
  };
}

function sinkOf(path: string, handle: fs.FileHandle): FileSink {
  return {
    write: (bytes) => guarded(path, async () => void (await handle.writeFile(bytes))),
    close: () =>
      guarded(path, async () => {
        await handle.sync();
        await handle.close();
      }),
  };
}

/** A lock file holds the owner's process id; one left by a process that is gone is taken over. */
async function takeLock(path: string): Promise<(() => Promise<void>) | null> {
  for (;;) {
    try {
      await fs.writeFile(path, String(process.pid), { flag: 'wx' });
      return () => fs.rm(path, { force: true });
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
      const owner = Number(await fs.readFile(path, 'utf8').catch(() => ''));
      if (isAlive(owner)) return null;
      await fs.rm(path, { force: true });
    }
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

/** Makes a renamed entry durable. Windows cannot open directories and needs no such thing. */
async function syncDirectory(path: string): Promise<void> {
  const handle = await fs.open(path, 'r').catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

/** Turns the operating system's errors into sentences with the path and what to do. */
async function guarded<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    switch (codeOf(error)) {
      case 'ENOSPC':
      case 'EDQUOT':
        throw new RunError(`${path}: the disk is full. Free some space and run again with --resume.`);
      case 'ENOENT':
        throw new InputError(
          `${path}: there is no such file or directory. Paths are relative to the directory you run in.`,
        );
      case 'EACCES':
      case 'EPERM':
      case 'EROFS':
        throw new InputError(`${path}: not allowed. Check the permissions of the file and its directory.`);
      case 'EISDIR':
        throw new InputError(`${path}: is a directory, but a file was expected.`);
      default:
        throw error;
    }
  }
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}
