/** `mpirun prefgrad train`: one run goes on where one process left it, and is the same run. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { train } from '../../src/train/train.ts';
import { readMetrics } from '../support/metrics.ts';
import { hasMpi, mpirun } from '../support/mpirun.ts';
import { testRuntime } from '../support/runtime.ts';
import { argsOf, CONFIG, configOf, copyAtStep2 } from './job.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-ranks-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(!hasMpi())('prefgrad train on two ranks', () => {
  it('continues a run of one process, with one set of files and one voice', async () => {
    await train(testRuntime(), configOf(join(folder, 'one')));
    copyAtStep2(folder, 'one', 'two');
    const { code, stderr } = mpirun(2, argsOf(CONFIG, folder, 'two', '--resume'));
    expect(code, stderr).toBe(0);
    expect(stderr.split('2 ranks share every optimizer step')).toHaveLength(2);
    expect(stderr.split('Resuming after step 2 of 4')).toHaveLength(2);

    const [one, two] = ['one', 'two'].map((name) => readMetrics(join(folder, name, 'metrics.jsonl')));
    expect(two.map(Object.keys)).toEqual(one.map(Object.keys));
    for (const [i, line] of one.entries())
      for (const [name, value] of Object.entries(line))
        if (/loss|logps|rewards\/(chosen|rejected)/.test(name))
          expect(Math.abs(two[i][name] - value), `${name} of line ${i}`).toBeLessThan(
            1e-6 * Math.max(1, Math.abs(value)),
          );
    const filesOf = (name: string) =>
      readdirSync(join(folder, name)).filter((file) => !/tfevents/.test(file));
    expect(filesOf('two')).toEqual(filesOf('one'));
    expect(existsSync(join(folder, 'two', '.lock'))).toBe(false);
    const record = JSON.parse(readFileSync(join(folder, 'two', 'run.json'), 'utf8'));
    expect(record.outcome).toBe('finished');
    const tokens = (record.ranks as { num_tokens: number }[]).map(({ num_tokens }) => num_tokens);
    expect(tokens).toHaveLength(2);
    expect(Math.min(...tokens)).toBeGreaterThan(0);
  });
});
