/**
 * Files in memory for tests, with a count of how much of a file is asked for at once.
 */

import type { RepoFiles } from '../../src/data/sources/hub-split.ts';

export interface MemoryFiles extends RepoFiles {
  /** Bytes of the largest single read. */
  largestRead: number;
  closed: number;
}

/** A read-only file system of the given texts (or bytes). */
export function memoryFiles(contents: Record<string, string | Uint8Array>): MemoryFiles {
  const bytesOf = (path: string): Uint8Array => {
    const content = contents[path];
    if (content === undefined) throw new Error(`${path}: no such file`);
    return typeof content === 'string' ? new TextEncoder().encode(content) : content;
  };
  const files: MemoryFiles = {
    largestRead: 0,
    closed: 0,
    exists: async (path) => path in contents,
    isDirectory: async () => false,
    list: async () => Object.keys(contents).sort(),
    readText: async (path) => new TextDecoder().decode(bytesOf(path)),
    open: async (path) => {
      const bytes = bytesOf(path);
      return {
        name: path,
        size: bytes.length,
        readRange: async (offset, length) => {
          if (offset + length > bytes.length) throw new RangeError('read behind the end');
          files.largestRead = Math.max(files.largestRead, length);
          return new Uint8Array(bytes.subarray(offset, offset + length));
        },
        close: async () => {
          files.closed++;
        },
      };
    },
  };
  return files;
}

/** JSON Lines of some rows. */
export function jsonLines(rows: readonly unknown[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
}
