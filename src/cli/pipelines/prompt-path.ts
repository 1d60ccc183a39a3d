/** Where the prompts lie that come with prefgrad. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A name such as 'judge' stands for our file of that name; anything with a '.' or '/' is the user's own. */
export function promptPath(name: string): string {
  if (/[./\\]/.test(name)) return name;
  const here = dirname(fileURLToPath(import.meta.url));
  // This file lies three folders deep in a clone, and is part of one that lies one deep in the package.
  const candidates = ['..', '../../..'].map((up) => join(here, up, 'examples/prompts', `${name}.yaml`));
  return candidates.find((path) => existsSync(path)) ?? candidates[0];
}
