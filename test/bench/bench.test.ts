/** The benchmarks compare what they should, and their reports have the form that others rely on. Times are never asserted. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { markdown, type Report } from '../../bench/report.ts';
import { median, pairedRatio, takeTurns } from '../../bench/timing.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-bench-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('timing', () => {
  it('lets contenders take turns, every second round in reverse', async () => {
    const order: string[] = [];
    const contender = (name: string) => ({ name, run: async () => void order.push(name) });
    const times = await takeTurns([contender('a'), contender('b')], 2);
    expect(order.join('')).toBe('ab' + 'ab' + 'ba');
    expect(Object.values(times).map((t) => t.length)).toEqual([2, 2]);
  });

  it('takes medians of odd and even counts', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
  });

  it('compares round by round, so that a slow round of both is no difference', () => {
    const slow = [1, 1, 10, 1, 10, 1, 1, 10];
    const ratio = pairedRatio(
      slow.map((t) => 2 * t),
      slow,
    );
    expect(ratio).toEqual({ median: 2, low: 2, high: 2 });
    const noisy = pairedRatio([1, 2, 3, 4, 5], [1, 1, 1, 1, 1]);
    expect(noisy.low).toBeLessThan(noisy.median);
    expect(noisy.high).toBeGreaterThan(noisy.median);
  });
});

describe('a report', () => {
  it('of the kernels has the form others rely on, and every result was checked first', () => {
    const out = join(folder, 'kernels.json');
    const args = ['--import', 'tsx', 'bench/run.ts', 'kernels', '--quick', '--out', out];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(status, stderr).toBe(0);
    const report = JSON.parse(readFileSync(out, 'utf8')) as Report;
    expect(Object.keys(report)).toEqual(['adapter', 'driver', 'date', 'commit', 'rows']);
    expect(report.rows.length).toBeGreaterThan(8);
    for (const row of report.rows) {
      expect(Object.keys(row).sort()).toEqual([
        'checked',
        'note',
        'ours_ms',
        'peer',
        'peer_ms',
        'ratio',
        'shape',
        'work',
      ]);
      expect(row.checked, row.work).toBe(true);
    }
    expect(stdout).toContain(markdown(report).split('\n')[2]);
  });
});
