/** SIGKILL at every sixteenth file operation of a whole run, and at every sixteenth submission of GPU work. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, it } from 'vitest';
import { expectSurvives, type Moment, wholeRun } from './kill-check.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-kill-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a run that is killed', () => {
  const { counts, expected } = wholeRun(folder);
  const every = (kind: Moment[0], stride: number) =>
    Array.from({ length: Math.floor(counts[kind] / stride) }, (_, i): Moment => [kind, 1 + i * stride]);

  it.each([...every('file', 16), ...every('submit', 16)])('at %s %i', (kind, at) =>
    expectSurvives(folder, [kind, at], expected),
  );
});
