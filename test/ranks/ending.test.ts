/** A rank that fails ends the job, with one message. What the run leaves then is in failures.long.test.ts. */
import { describe, expect, it } from 'vitest';
import { hasMpi, mpirun } from '../support/mpirun.ts';

const ending = (how: string) => mpirun(2, ['--import', 'tsx', 'test/ranks/ending.ts', how]);

describe.skipIf(!hasMpi())('a job of two ranks', () => {
  it('ends when one dies', () => {
    const { code, stderr } = ending('die');
    expect(code).not.toBe(0);
    expect(stderr).toContain('signal 9');
  });

  it('ends when one hangs, after the time limit', () => {
    const { code, stderr } = ending('hang');
    expect(code, stderr).toBe(1);
    expect(stderr.split('The other ranks did not answer for 2 s (training.ddp_timeout)')).toHaveLength(2);
  });

  it('is refused for a command that is one process', () => {
    const { code, stderr } = mpirun(2, ['bin/prefgrad.js', 'validate', 'examples/quickstart.yaml']);
    expect(code).toBe(2);
    expect(stderr.split('prefgrad validate is one process')).toHaveLength(2);
  });
});
