/** The file system of Node, which Deno offers under the same names. */
import type { Stats } from 'node:fs';
import * as fs from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { InputError } from '../errors.ts';
import { codeOf, guarded } from './file-errors.ts';
import { takeLock } from './file-lock.ts';
import { checkRange } from './file-range.ts';
import type { FileSink, FileSource, FileSystem, OutputTarget } from './runtime.ts';

export const nodeFiles: FileSystem = {
  open: (path) => guarded(path, () => openSource(path)),
  readText: (path) => guarded(path, () => readText(path)),
  create: (path) => guarded(path, async () => sinkOf(path, await fs.open(path, 'w'), true)),
  append: (path, offset) => guarded(path, () => openForAppending(path, offset)),
  exists: (path) =>
    fs.stat(path).then(
      () => true,
      () => false,
    ),
  outputTarget: (path) => guarded(path, () => outputTarget(path)),
  isDirectory: (path) =>
    fs.stat(path).then(
      (stat) => stat.isDirectory(),
      () => false,
    ),
  list: (path) => guarded(path, async () => (await fs.readdir(path)).sort()),
  makeDirectory: (path) => guarded(path, () => makeDirectory(path)),
  rename: (from, to) =>
    guarded(`${from} -> ${to}`, async () => {
      await fs.rename(from, to);
      await syncDirectory(dirname(to));
      if (dirname(from) !== dirname(to)) await syncDirectory(dirname(from));
    }),
  remove: (path) => guarded(path, () => fs.rm(path, { recursive: true, force: true })),
  lock: (path) => guarded(path, () => takeLock(path)),
};

async function outputTarget(path: string): Promise<OutputTarget> {
  const stat = await statOf(path);
  if (stat?.isDirectory()) throw new InputError(`${path}: is a directory, but a file was expected.`);
  if (stat !== undefined && !stat.isFile()) {
    await fs.access(path, fs.constants.W_OK);
    return { path, replaceable: false };
  }
  const target = stat === undefined ? await endOfLinks(path) : await fs.realpath(path);
  if (stat !== undefined) await fs.access(target, fs.constants.W_OK);
  try {
    await fs.access(dirname(target), fs.constants.W_OK);
  } catch (error) {
    if (stat === undefined || codeOf(error) !== 'EACCES') throw error;
    return { path: target, replaceable: false };
  }
  // A path without links stays as the user wrote it.
  return { path: target === resolve(path) ? path : target, replaceable: true };
}

/** Where all of the path is made at once, a disk that is only read answers that there is no such file. */
async function makeDirectory(path: string): Promise<void> {
  try {
    await fs.mkdir(path, { recursive: true });
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' || dirname(path) === path) throw error;
    await makeDirectory(dirname(path));
    await fs.mkdir(path);
  }
}

/** undefined for what is not there, which includes the target of a symbolic link. */
function statOf(path: string): Promise<Stats | undefined> {
  return fs.stat(path).catch((error) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
}

/** What is not there, at the end of symbolic links that lead to it. */
async function endOfLinks(path: string): Promise<string> {
  const link = await fs.readlink(path).catch(() => undefined);
  return link === undefined ? resolve(path) : endOfLinks(resolve(dirname(path), link));
}

/** To be asked before a file is opened: a pipe would wait for its writer, and a device may have no end. */
async function regularFile(path: string): Promise<Stats> {
  const stat = await fs.stat(path);
  if (stat.isDirectory()) throw new InputError(`${path}: is a directory, but a file was expected.`);
  if (stat.isFile()) return stat;
  throw new InputError(
    `${path}: is not a regular file, and cannot be read in pieces. Write it to a file first.`,
  );
}

async function readText(path: string): Promise<string> {
  await regularFile(path);
  return fs.readFile(path, 'utf8');
}

async function openSource(path: string): Promise<FileSource> {
  const stat = await regularFile(path);
  const handle = await fs.open(path, 'r');
  const { size } = stat;
  return {
    name: path,
    size,
    readRange: (offset, length) =>
      guarded(path, async () => {
        checkRange(path, size, offset, length);
        const bytes = new Uint8Array(length);
        let done = 0;
        while (done < length) {
          const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
          if (bytesRead === 0) throw new InputError(`${path}: the file became shorter while it was read.`);
          done += bytesRead;
        }
        return bytes;
      }),
    close: () => handle.close(),
  };
}

async function openForAppending(path: string, offset: number | undefined): Promise<FileSink> {
  const size = await fs.stat(path).then(
    (stat) => stat.size,
    (error) => {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    },
  );
  if (offset !== undefined && offset > (size ?? 0)) {
    throw new InputError(
      `${path}: was to be continued at byte ${offset}, but ${size === undefined ? 'is not there' : `has only ${size}`}.`,
    );
  }
  if (offset !== undefined && size !== undefined) await fs.truncate(path, offset);
  return sinkOf(path, await fs.open(path, 'a'), size === undefined);
}

function sinkOf(path: string, handle: fs.FileHandle, isNew: boolean): FileSink {
  return {
    write: (bytes) =>
      guarded(path, async () => {
        const data = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes;
        let done = 0;
        while (done < data.length) done += (await handle.write(data, done)).bytesWritten;
      }),
    close: () =>
      guarded(path, async () => {
        try {
          await handle.sync().catch((error) => {
            // Pipes and devices have nothing to flush.
            if (!['EINVAL', 'ENOTSUP', 'EROFS'].includes(String(codeOf(error)))) throw error;
          });
        } finally {
          await handle.close();
        }
        if (isNew) await syncDirectory(dirname(path));
      }),
  };
}

/** Makes the entries of a directory durable. Windows cannot open directories and needs no such thing. */
async function syncDirectory(path: string): Promise<void> {
  const handle = await fs.open(path, 'r').catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}
