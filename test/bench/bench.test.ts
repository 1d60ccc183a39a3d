/** The benchmarks compare what they should, and their reports have the form that others rely on. Times are never asserted. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loraTable, type RateRow } from '../../bench/recipes/lora-table.ts';
import { markdown, type Report } from '../../bench/report.ts';
import { median, pairedRatio, takeTurns } from '../../bench/timing.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-bench-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the rates of the LoRA recipes', () => {
  const file = 'bench/results/lora-rates-lavapipe.json';
  const { rows } = JSON.parse(readFileSync(file, 'utf8')) as { rows: RateRow[] };
  const own = rows.filter(({ is_recipe }) => is_recipe);

  it('were all measured, and learned: the loss of held-out rows fell, their margin rose', () => {
    const recipes = readdirSync('examples/recipes')
      .filter((name) => name.endsWith('-lora.yaml'))
      .map((name) => {
        const { training } = parse(readFileSync(`examples/recipes/${name}`, 'utf8'));
        return [name.replace('.yaml', ''), training.learning_rate];
      });
    const measured = own.map(({ recipe, learning_rate }) => [recipe, learning_rate]);
    expect(measured.sort()).toEqual(recipes.sort());
    for (const { before, after } of own) {
      expect(after.eval_loss).toBeLessThan(before.eval_loss);
      const margin = 'eval_rewards/margins';
      if (margin in after) expect(after[margin]).toBeGreaterThan(before[margin]);
    }
  });

  it('are in docs/recipes.md as they were measured', () => {
    expect(readFileSync('docs/recipes.md', 'utf8')).toContain(`\n${loraTable(rows)}\n`);
  });
});

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
