/** Small files: text, JSON and JSON Lines. A file appears when it is complete, so that it says that its stage is done. */
import type { FileSystem } from '../../src/index.ts';

export async function writeText(files: FileSystem, path: string, text: string): Promise<void> {
  const partial = `${path}.partial`;
  const sink = await files.create(partial);
  await sink.write(text);
  await sink.close();
  await files.rename(partial, path);
}

export async function writeRows(files: FileSystem, path: string, rows: readonly unknown[]): Promise<void> {
  await writeText(files, path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
}

export async function readRows<T>(files: FileSystem, path: string): Promise<T[]> {
  const text = await files.readText(path);
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}
