import { afterEach, expect, it, vi } from 'vitest';
import { Clock } from '../../src/train/clock.ts';

afterEach(() => void vi.useRealTimers());

it('measures time as it passes, whatever the clock of the machine is set to', () => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'] });
  const clock = new Clock(0, 10, 100);
  vi.advanceTimersByTime(2000);
  vi.setSystemTime(Date.now() - 3_600_000);
  clock.done(1, 50);
  expect(clock.lap()).toEqual({ seconds: 102, tokens_per_second: 25 });
  expect(clock.secondsLeft).toBe(18);
});
