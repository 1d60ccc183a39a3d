/** The page's kernels without their comments, a third of what they are to download. Lines keep their numbers, loops their marks. */
import { readFileSync } from 'node:fs';
import type { Plugin } from 'vite';

const SUFFIX = '.wgsl?raw';

export function withoutKernelComments(): Plugin {
  return {
    name: 'kernel-comments',
    apply: 'build',
    enforce: 'pre',
    load(id) {
      if (!id.endsWith(SUFFIX)) return undefined;
      const source = readFileSync(id.slice(0, -'?raw'.length), 'utf8');
      return `export default ${JSON.stringify(withoutComments(source))};`;
    },
  };
}

/** `//#` marks a loop of unroll.ts. */
function withoutComments(source: string): string {
  return source.replace(/[ \t]*\/\/(?!#).*$/gm, '');
}
