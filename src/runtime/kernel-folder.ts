/** Kernel sources from disk, for Node and Deno. */
import * as fs from 'node:fs';

/** All .wgsl files of a folder and of the folders in it, by their name relative to it, with '/'. */
export function readKernels(folder: string): Record<string, string> {
  const names = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return Object.fromEntries(
    names
      .filter((name) => name.endsWith('.wgsl'))
      .sort()
      .map((name) => [name.replaceAll('\\', '/'), fs.readFileSync(`${folder}/${name}`, 'utf8')]),
  );
}
