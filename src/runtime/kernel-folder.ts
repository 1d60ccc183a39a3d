import * as fs from 'node:fs';

/** All .wgsl files of a folder by name. */
export function readKernels(folder: string): Record<string, string> {
  const names = fs.readdirSync(folder).filter((name) => name.endsWith('.wgsl'));
  return Object.fromEntries(names.map((name) => [name, fs.readFileSync(`${folder}/${name}`, 'utf8')]));
}
