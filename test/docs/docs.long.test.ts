/**
 * The pages, line by line, as a reader would type them: in the order of the page, on a fresh copy, with small settings added.
 * `blocks.test.ts` checks the options of every line of every page.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FreshCopy } from './fresh-copy.ts';
import { BLOCKS, commandsOf, PAGES } from './pages.ts';

/** Pages that need nothing but what a clone has. */
const COMPLETE = [
  'README.md',
  'docs/choosing.md',
  'docs/generate.md',
  'docs/library.md',
  'docs/lora.md',
  'docs/optimizers.md',
  'docs/scores.md',
  'docs/start.md',
];

/** Pages with commands on files that the reader brings, and what runs their commands instead. */
const OTHERS: Readonly<Record<string, string>> = {
  'docs/adapters.md': 'test/train/adapters.test.ts',
  'docs/analyze.md': 'test/analyze/analyze.test.ts',
  'docs/evaluate.md': 'test/evaluate/evaluate-task.test.ts',
  'docs/gpu-box.md': 'test/package/gpu-box.long.test.ts',
  'docs/many-gpus.md': 'test/ranks/train.test.ts',
  'docs/methods.md': 'test/objectives/registered.test.ts',
  'docs/pipelines.md': 'test/docs/pipelines.long.test.ts',
  'docs/recipes.md': 'test/examples/recipes.test.ts',
  'docs/replication.md': 'test/examples/study.long.test.ts',
};

const runnable = BLOCKS.filter(
  ({ language, notRun }) => ['sh', 'ts'].includes(language) && notRun === undefined,
);

describe('pages', () => {
  it('are run, or say which test does so', () => {
    const withCommands = PAGES.filter((page) => runnable.some((block) => block.page === page));
    expect(withCommands).toEqual([...COMPLETE, ...Object.keys(OTHERS)].sort());
    expect(Object.values(OTHERS).filter((test) => !existsSync(test))).toEqual([]);
  });

  it.each(COMPLETE)('%s runs from its first line to its last', async (page) => {
    const copy = new FreshCopy();
    try {
      const blocks = runnable.filter((block) => block.page === page);
      if (blocks.some(({ language }) => language === 'ts')) build(copy.folder);
      for (const block of blocks) {
        if (block.language === 'ts') await copy.runProgram(block.text, `${page}:${block.line}`);
        else for (const command of commandsOf(block)) await copy.run(command);
      }
    } finally {
      await copy.close();
    }
  });
});

/** `import ... from 'prefgrad'` is the build. */
function build(folder: string): void {
  const { status, stderr } = spawnSync(process.execPath, [join(folder, 'scripts/build.mjs')], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
}
