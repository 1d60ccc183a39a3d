/** What the study says of the time that it still takes. */
import { describe, expect, it } from 'vitest';
import { Pace, workOf } from '../../examples/study/pace.ts';
import { SIZES } from '../../examples/study/plan.ts';

describe('the forecast of the study', () => {
  it('counts every run once: the search has the first seed of the best setting', () => {
    const { standard } = SIZES;
    // 7 methods with 3 rates and 2 more seeds, 4 shares and 2 deltas.
    expect(workOf(standard, 100)).toEqual({
      pairs: (7 * 5 + 6) * 100,
      answers: 7 * 3 * 200 + (1 + 7 * 3 + 6) * 400,
    });
  });

  it('takes the measured speed for what is left, and no time for what an earlier process did', () => {
    const pace = new Pace();
    pace.add('answers', 10, 5);
    pace.plan({ pairs: 100, answers: 40 });
    expect(pace.secondsLeft).toBeUndefined();
    pace.add('pairs', 60);
    pace.add('pairs', 20, 40);
    pace.add('answers', 30);
    expect(pace.secondsPer('pairs')).toBe(2);
    expect(pace.secondsLeft).toBe(20 * 2 + 10 * 0.5);
    pace.add('answers', 20);
    expect(pace.secondsLeft).toBe(40);
  });
});
