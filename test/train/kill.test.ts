/** SIGKILL at any moment loses at most the steps since the last checkpoint; the resumed run ends bit by bit the same. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { randomWord } from '../../src/data/random.ts';
import { expectSurvives, wholeRun } from './kill-check.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-kill-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a run that is killed', () => {
  const { counts, expected } = wholeRun(folder);

  it('has moments enough to be killed at', () => {
    expect(counts.submit).toBeGreaterThan(20);
    expect(counts.file).toBeGreaterThan(50);
  });

  /** Between two file operations of a save. The long test takes many moments, also within the GPU's work. */
  const at = 1 + (randomWord(17, 0, 1) % counts.file);
  it(`at file ${at}`, () => expectSurvives(folder, ['file', at], expected));
});
