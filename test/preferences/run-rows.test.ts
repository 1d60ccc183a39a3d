import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.ts';
import { BudgetError } from '../../src/llm/budget.ts';
import { LlmError } from '../../src/llm/retry.ts';
import type { Outcome, RowStep } from '../../src/preferences/row-step.ts';
import { type RunRowsOptions, runRows } from '../../src/preferences/run-rows.ts';
import { MemoryFiles } from '../../src/runtime/memory-files.ts';

const COUNT = 12;

function machine(): MemoryFiles {
  const files = new MemoryFiles();
  files.add('rows.jsonl', Array.from({ length: COUNT }, (_, n) => `{"n": ${n}}\n`).join(''));
  return files;
}

/** A step that makes n into n squared, or does what `faults` say. */
function squares(faults: (n: number) => void = () => {}, settings = {}): RowStep<number> {
  return {
    settings: { command: 'squares', ...settings },
    read: (raw) => Number(raw.value.n),
    requests: () => [],
    async run(n, index): Promise<Outcome> {
      // Later rows are done earlier.
      await new Promise((resolve) => setTimeout(resolve, (7 * n) % 5));
      faults(n);
      if (n % 5 === 3) return { kind: 'dropped', reason: 'three too much' };
      return { kind: 'row', value: { index, square: n * n } };
    },
    async summary(rows) {
      let sum = 0;
      for await (const { square } of rows) sum += Number(square);
      return { sum };
    },
  };
}

const run = (files: MemoryFiles, step: RowStep<number>, options: Partial<RunRowsOptions> = {}) =>
  runRows(step, {
    files,
    rows: 'rows.jsonl',
    out: 'out.jsonl',
    resume: false,
    window: 4,
    onBadRow: 'error',
    ...options,
  });

const contents = async (files: MemoryFiles) => ({
  rows: await files.readText('out.jsonl'),
  dropped: await files.readText('out.jsonl.dropped.jsonl'),
});

async function finished() {
  const files = machine();
  const report = await run(files, squares());
  return { report, files: await contents(files) };
}

describe('rows', () => {
  it('are written in order, dropped ones listed with the reason, and counted', async () => {
    const { report, files } = await finished();
    expect(files.rows.split('\n').slice(0, 4)).toEqual([
      '{"index":0,"square":0}',
      '{"index":1,"square":1}',
      '{"index":2,"square":4}',
      '{"index":4,"square":16}',
    ]);
    expect(files.dropped).toBe(
      '{"index":3,"line":4,"kind":"dropped","reason":"three too much"}\n' +
        '{"index":8,"line":9,"kind":"dropped","reason":"three too much"}\n',
    );
    expect(report).toMatchObject({ written: 10, dropped: 2, failed: 0, reasons: { 'three too much': 2 } });
    expect(report.summary).toEqual({ sum: 506 - 9 - 64 });
  });

  it('after a stop anywhere, in the middle of a line even, go on to the same files', async () => {
    const whole = (await finished()).files;
    for (const cut of [0, 1, 23, 30, whole.rows.length - 1, whole.rows.length]) {
      const files = machine();
      await run(files, squares());
      files.add('out.jsonl', whole.rows.slice(0, cut));
      // Rows are written in order, so what was dropped behind the cut is not there either.
      const last = Number(/(\d+),"square":\d+\}\n[^\n]*$/.exec(whole.rows.slice(0, cut))?.[1] ?? -1);
      files.add(
        'out.jsonl.dropped.jsonl',
        whole.dropped
          .split(/(?<=\n)/)
          .filter((line) => line && JSON.parse(line).index < last)
          .join(''),
      );
      const seen: number[] = [];
      await run(
        files,
        squares((n) => void seen.push(n)),
        { resume: true },
      );
      expect(await contents(files), `cut at ${cut}`).toEqual(whole);
      expect(Math.min(...seen, COUNT), `cut at ${cut}`).toBe(last + 1);
    }
  });

  it('that failed are tried again, and put into their places', async () => {
    const whole = (await finished()).files;
    const files = machine();
    const fails = squares((n) => {
      if (n === 1 || n === 3 || n === 9) throw new LlmError('http://x', ['HTTP 500', 'no answer within 5 s']);
    });
    const report = await run(files, fails);
    expect(report).toMatchObject({
      written: 8,
      dropped: 1,
      failed: 3,
      reasons: { 'the endpoint failed': 3 },
    });
    const [first] = (await contents(files)).dropped.split('\n');
    expect(JSON.parse(first)).toMatchObject({ index: 1, attempts: ['HTTP 500', 'no answer within 5 s'] });
    const again: number[] = [];
    await run(
      files,
      squares((n) => void again.push(n)),
      { resume: true },
    );
    expect(again.sort()).toEqual([1, 3, 9]);
    expect(await contents(files)).toEqual(whole);
  });

  it('before the budget is used up are kept', async () => {
    const files = machine();
    const poor = squares((n) => {
      if (n >= 6) throw new BudgetError('The next request could cost more than the limit.');
    });
    await expect(run(files, poor)).rejects.toThrow(BudgetError);
    expect((await contents(files)).rows).toContain('"index":5');
    await run(files, squares(), { resume: true });
    expect(await contents(files)).toEqual((await finished()).files);
  });

  it('that all fail end the run with the reason', async () => {
    const files = machine();
    const broken = squares(() => {
      throw new LlmError('http://x', ['connect ECONNREFUSED']);
    });
    await expect(run(files, broken)).rejects.toThrow(/8 rows failed one after the other.*ECONNREFUSED/);
  });

  /** A step that takes numbers alone. */
  const strict = (done: number[] = []): RowStep<number> => ({
    ...squares((n) => void done.push(n)),
    read({ value: { n }, line }) {
      if (typeof n === 'number') return n;
      throw new InputError(`rows.jsonl:${line}: n is no number`);
    },
  });

  it('that are bad end the run before anything is asked or written, or are listed', async () => {
    const files = machine();
    files.add('rows.jsonl', '{"n": 0}\n{"n": "x"}\n{"n": 2}\n');
    const done: number[] = [];
    await expect(run(files, strict(done))).rejects.toThrow('rows.jsonl:2: n is no number');
    expect(done).toEqual([]);
    expect(await files.exists('out.jsonl.settings.json')).toBe(false);
    const report = await run(files, strict(), { onBadRow: 'skip' });
    expect(report).toMatchObject({ written: 2, bad: 1 });
    expect((await contents(files)).dropped).toContain('rows.jsonl:2: n is no number');
  });

  it('that are all bad are wrong input, also where bad ones are skipped', async () => {
    const files = machine();
    files.add('rows.jsonl', '{"n": "x"}\n{"n": "y"}\n');
    await expect(run(files, strict(), { onBadRow: 'skip' })).rejects.toThrow(
      'rows.jsonl: no row can be used. The first one: rows.jsonl:1: n is no number',
    );
    expect(await files.exists('out.jsonl.settings.json')).toBe(false);
  });

  it('of which the first shows that something is wrong with all leave nothing behind', async () => {
    const files = machine();
    const broken = squares(() => {
      throw new InputError('m: the chat template does not compile');
    });
    await expect(run(files, broken)).rejects.toThrow('does not compile');
    expect(await files.list('.')).toEqual(['rows.jsonl']);
  });
});

describe('an output', () => {
  it('that is there is not overwritten', async () => {
    const files = machine();
    await run(files, squares());
    await expect(run(files, squares())).rejects.toThrow(
      'out.jsonl: is there already. Go on with it by --resume',
    );
  });

  it('is not continued with other settings', async () => {
    const files = machine();
    await run(files, squares(undefined, { seed: 1 }));
    await expect(run(files, squares(undefined, { seed: 2 }), { resume: true })).rejects.toThrow(
      'was begun with other settings (seed: 1 -> 2)',
    );
  });

  it('has its settings beside it', async () => {
    const files = machine();
    await run(files, squares(undefined, { seed: 1 }));
    expect(JSON.parse(await files.readText('out.jsonl.settings.json'))).toEqual({
      command: 'squares',
      seed: 1,
    });
  });

  it('is complete as far as it goes when the user stops', async () => {
    const files = machine();
    let asked = 0;
    const report = await run(files, squares(), { shouldStop: () => ++asked > 6 });
    expect(report).toMatchObject({ written: 5, dropped: 1, interrupted: true });
    await run(files, squares(), { resume: true });
    expect(await contents(files)).toEqual((await finished()).files);
  });
});
