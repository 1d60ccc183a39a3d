/** The benchmarks compare what they should. Times are never asserted. The form of reports: kernels.long.test.ts. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loraTable, type RateRow } from '../../bench/recipes/lora-table.ts';
import { median, pairedRatio, takeTurns } from '../../bench/timing.ts';

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
