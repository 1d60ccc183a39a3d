/** A rank that fails ends the job, with one message. What ends runs otherwise, and what they leave, is in failures.long.test.ts. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { hasMpi, mpirun } from '../support/mpirun.ts';
import { argsOf, checkpointsOf, SMALLEST } from './job.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-ranks-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Of the last step of an epoch. */
const BAD = 0;

/** Rows for two steps, of which one weighs more than f32 holds. */
function badRows(): string {
  const path = join(folder, 'bad.jsonl');
  const rows = readFileSync('examples/quickstart/train.jsonl', 'utf8').split('\n').slice(0, 6);
  const bad = { ...JSON.parse(rows[BAD]), chosen_weights: [{ start: 0, end: 9, weight: 1e38 }] };
  writeFileSync(path, rows.with(BAD, JSON.stringify(bad)).join('\n'));
  return path;
}

describe.skipIf(!hasMpi())('a job of two ranks', () => {
  it('ends when one hangs, after the time limit', () => {
    const { code, stderr } = mpirun(2, ['--import', 'tsx', 'test/ranks/hanging.ts']);
    expect(code, stderr).toBe(1);
    expect(stderr.split('The other ranks did not answer for 2 s (training.ddp_timeout)')).toHaveLength(2);
  });

  it('ends when the rows of one are too much for a step, with what was there before it', () => {
    const { code, stderr } = mpirun(
      2,
      argsOf(SMALLEST, folder, 'infinite', '--set', `data.train=${badRows()}`),
    );
    expect(code, stderr).toBe(1);
    expect(stderr.split('gradient norm')).toHaveLength(2);
    expect(stderr).toMatch(/^prefgrad: Step 2: .*bad\.jsonl:1.* What was there before it: .*checkpoint-1$/m);
    expect(checkpointsOf(join(folder, 'infinite'))).toEqual(['checkpoint-1']);
  });

  it('says in each rank that finds no Open MPI which command installs it', () => {
    const env = { ...process.env, OMPI_COMM_WORLD_SIZE: '2', PREFGRAD_MPI_LIBRARY: 'libmpi-of-nobody.so' };
    const { status, stderr } = spawnSync(process.execPath, ['bin/prefgrad.js', 'doctor'], {
      env,
      encoding: 'utf8',
    });
    expect(status, stderr).toBe(2);
    expect(stderr).toContain('Install it: apt-get install -y openmpi-bin');
  });

  it('is refused for a command that is one process', () => {
    const { code, stderr } = mpirun(2, ['bin/prefgrad.js', 'validate', 'examples/quickstart.yaml']);
    expect(code).toBe(2);
    expect(stderr.split('prefgrad validate is one process')).toHaveLength(2);
  });
});
