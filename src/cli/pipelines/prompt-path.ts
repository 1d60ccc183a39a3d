/** Where the prompts lie that come with prefgrad. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A name such as 'judge' stands for our file of that name; anything with a '.' or '/' is the user's own. */
export function promptPath(name: string): string {
  if (/[./\\]/.test(name)) return name;
  // This file lies two or three folders deep in a clone, one deep in the package.
  const candidates = ['../examples/prompts/', '../../examples/prompts/', '../../../examples/prompts/'].map(
    (folder) => fileURLToPath(new URL(`${folder}${name}.yaml`, import.meta.url)),
  );
  return candidates.find((path) => existsSync(path)) ?? candidates[0];
}
