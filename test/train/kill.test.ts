/** SIGKILL at any moment loses at most the steps since the last checkpoint; the resumed run ends bit by bit the same. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { randomWord } from '../../src/data/random.ts';
import { expectSurvives, type Moment, wholeRun } from './kill-check.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-kill-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a run that is killed', () => {
  const { counts, expected } = wholeRun(folder);

  it('has moments enough to be killed at', () => {
    expect(counts.submit).toBeGreaterThan(20);
    expect(counts.file).toBeGreaterThan(50);
  });

  /** Seeded: one within the GPU's work, one between file operations of a save. The long test takes many. */
  const moments = (['submit', 'file'] as const).map(
    (kind, i): Moment => [kind, 1 + (randomWord(17, 0, i) % counts[kind])],
  );
  it.each(moments)('at %s %i', (kind, at) => expectSurvives(folder, [kind, at], expected));
});
