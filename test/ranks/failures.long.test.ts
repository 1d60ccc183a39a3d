/** What ends a run of several ranks, and what it leaves. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { latestCheckpoint } from '../../src/formats/checkpoint.ts';
import { train } from '../../src/train/train.ts';
import { hasMpi, mpirun, mpirunCommand, RANK_ENV } from '../support/mpirun.ts';
import { testRuntime } from '../support/runtime.ts';
import { argsOf, CONFIG, checkpointsOf, configOf, copyAtStep2, SMALLEST, whenUnlocked } from './job.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-ranks-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ENDLESS = {
  ...SMALLEST,
  training: { ...SMALLEST.training, max_steps: 3000, ddp_timeout: 5, save_total_limit: 2 },
};

/**
 * Starts a run that does not end by itself, and waits for its first checkpoint.
 * @param killAfter - seconds that mpirun gives its ranks to end before it kills them; it waits for twice as long in any case
 */
async function startEndless(
  name: string,
  killAfter = '1',
): Promise<{ run: ChildProcess; said: () => string }> {
  const [program, ...launch] = mpirunCommand(2);
  const env = { ...RANK_ENV, OMPI_MCA_odls_base_sigkill_timeout: killAfter };
  const run = spawn(program, [...launch, ...argsOf(ENDLESS, folder, name)], { env });
  let said = '';
  run.stderr?.on('data', (text: Buffer) => {
    said += text.toString();
  });
  while (!existsSync(join(folder, name, 'checkpoint-2')) && run.exitCode === null)
    await new Promise((resolve) => setTimeout(resolve, 100));
  expect(run.exitCode, said).toBeNull();
  return { run, said: () => said };
}

const ended = (run: ChildProcess) => new Promise<number | null>((resolve) => run.on('exit', resolve));

/** The process of rank 1 among the children of an mpirun. */
function rankOne(run: ChildProcess): number {
  const { stdout } = spawnSync('pgrep', ['-P', String(run.pid)], { encoding: 'utf8' });
  const isRankOne = (pid: string) =>
    readFileSync(`/proc/${pid}/environ`, 'utf8').includes('OMPI_COMM_WORLD_RANK=1\0');
  return Number(stdout.trim().split('\n').find(isRankOne));
}

/** One process goes on from what is there. */
async function expectResumes(name: string): Promise<void> {
  const output = join(folder, name);
  await whenUnlocked(output);
  const last = (await latestCheckpoint(testRuntime().files, output))?.step ?? 0;
  expect(last).toBeGreaterThan(0);
  const training = { ...ENDLESS.training, max_steps: last + 1 };
  const config = configOf(output, { ...ENDLESS, training });
  const { outcome, step } = await train(testRuntime(), config, {}, { resume: true });
  expect([outcome, step]).toEqual(['finished', last + 1]);
}

describe.skipIf(!hasMpi())('a run on two ranks', () => {
  it('that is resumed ends with the bits of one that was not', () => {
    expect(mpirun(2, argsOf(CONFIG, folder, 'whole')).code).toBe(0);
    copyAtStep2(folder, 'whole', 'resumed');
    expect(mpirun(2, argsOf(CONFIG, folder, 'resumed', '--resume')).code).toBe(0);
    const weights = (name: string) => readFileSync(join(folder, name, 'model/model.safetensors'));
    expect(weights('resumed').equals(weights('whole'))).toBe(true);
  });

  it('saves on Ctrl-C', async () => {
    const { run, said } = await startEndless('interrupted', '10');
    run.kill('SIGINT');
    await ended(run);
    expect(said()).toContain('Interrupted after');
    await expectResumes('interrupted');
  });

  it('ends when a rank dies', async () => {
    const { run, said } = await startEndless('killed');
    process.kill(rankOne(run), 'SIGKILL');
    expect(await ended(run)).not.toBe(0);
    expect(said()).toContain('signal 9');
    await expectResumes('killed');
  });

  it('ends when a rank hangs', async () => {
    const { run, said } = await startEndless('hanging');
    const pid = rankOne(run);
    process.kill(pid, 'SIGSTOP');
    expect(await ended(run)).toBe(1);
    expect(said()).toContain('The other ranks did not answer for 5 s (training.ddp_timeout)');
    await expectResumes('hanging');
  });

  it('ends when a rank loses its device, and one process continues from the last checkpoint', async () => {
    const [program, ...args] = argsOf(SMALLEST, folder, 'lost');
    expect(program).toBe('bin/prefgrad.js');
    const checkpoint = join(folder, 'lost/checkpoint-2');
    const { code, stderr } = mpirun(2, ['--import', 'tsx', 'test/ranks/losing.ts', checkpoint, ...args]);
    expect(code, stderr).toBe(1);
    expect(stderr.split('The GPU device was lost')).toHaveLength(2);
    expect(stderr).toMatch(
      /^rank 1 on .+: prefgrad: The GPU device was lost: .* Continue from .*checkpoint-2 with --resume\.$/m,
    );
    expect(checkpointsOf(join(folder, 'lost'))).toEqual(['checkpoint-2']);
    await whenUnlocked(join(folder, 'lost'));
    const { outcome, step } = await train(
      testRuntime(),
      configOf(join(folder, 'lost'), SMALLEST),
      {},
      { resume: true },
    );
    expect([outcome, step]).toEqual(['finished', 4]);
  });
});
