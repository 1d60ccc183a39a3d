/** The page's engine on this process's adapter, and models as dropped files. */
import * as fs from 'node:fs';
import { MemoryFiles } from '../../src/runtime/memory-files.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import { Engine } from '../../web/worker/engine.ts';
import type { KeptFolder } from '../../web/worker/kept-run.ts';
import type { ModelSource, PairText } from '../../web/worker/protocol.ts';

export const STORIES = 'examples/stories260K';
export const EVAL = 'examples/quickstart/eval.jsonl';

export function newEngine(runtime: Runtime = nodeRuntime(), folder?: KeptFolder): Engine {
  return new Engine({ ...runtime, files: new MemoryFiles() }, Promise.resolve(folder));
}

/** A folder that outlives an engine, as a browser's private files outlive a page. */
export function keptFolder(): KeptFolder & { readonly files: Map<string, Blob> } {
  const files = new Map<string, Blob>();
  return {
    files,
    list: async () => [...files.keys()],
    async read(path) {
      const file = files.get(path);
      if (file === undefined) throw new Error(`${path} is not there.`);
      return file;
    },
    async write(path, file) {
      files.set(path, file);
    },
    async remove(path) {
      files.delete(path);
    },
  };
}

/** The files of a folder, as if it had been dropped onto the page. */
export function dropped(folder: string, as = 'folder'): ModelSource {
  const names = fs.readdirSync(folder).filter((name) => fs.statSync(`${folder}/${name}`).isFile());
  return {
    kind: 'files',
    files: names.map((name) => ({
      path: `${as}/${name}`,
      file: new Blob([fs.readFileSync(`${folder}/${name}`)]),
    })),
  };
}

export function evalPairs(count: number): PairText[] {
  const lines = fs.readFileSync(EVAL, 'utf8').trim().split('\n').slice(0, count);
  return lines.map((line) => {
    const { prompt, chosen, rejected } = JSON.parse(line) as PairText;
    return { prompt, chosen, rejected };
  });
}
