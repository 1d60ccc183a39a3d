/** The quickstart's step beside the one of the foundation, as two processes that take turns on the same batches. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Gpu } from '../../src/engine.ts';
import type { Runtime } from '../../src/index.ts';
import { type Row, reportOf } from '../report.ts';
import { median, pairedRatio } from '../timing.ts';

/** The last commit of the first session: what the foundation issue left. */
const FOUNDATION = '3647d0a';
const STEPS = 20;

interface Timed {
  readonly ms: number;
  readonly loss: number;
}

export async function benchFoundation(runtime: Runtime, quick: boolean) {
  const before = mkdtempSync(join(tmpdir(), 'prefgrad-foundation-'));
  execFileSync('git', ['worktree', 'add', '--force', '--detach', before, FOUNDATION], { stdio: 'pipe' });
  try {
    symlinkSync(resolve('node_modules'), join(before, 'node_modules'));
    const ours: Timed[] = [];
    const theirs: Timed[] = [];
    for (let round = 0; round < (quick ? 1 : 7); round++) {
      const turns = [() => ours.push(timed('.')), () => theirs.push(timed(before))];
      for (const turn of round % 2 === 0 ? turns : turns.reverse()) turn();
    }
    const times = (runs: readonly Timed[]) => runs.map(({ ms }) => ms);
    const ratio = pairedRatio(times(theirs), times(ours));
    const row: Row = {
      work: 'quickstart step, DPO-BMC',
      shape: `stories260K, 8 pairs, ${STEPS} steps a run`,
      ours_ms: median(times(ours)),
      peer: `foundation (${FOUNDATION})`,
      peer_ms: median(times(theirs)),
      ratio: ratio.median,
      checked: Math.abs(ours[0].loss - theirs[0].loss) < 1e-3 * Math.abs(theirs[0].loss),
      note: `ratio in [${ratio.low.toFixed(2)}, ${ratio.high.toFixed(2)}]; goal at least 2: ${ratio.low >= 2 ? 'met' : 'not met'}`,
    };
    const gpu = await Gpu.open(runtime);
    const report = reportOf(gpu, [row]);
    gpu.close();
    return report;
  } finally {
    execFileSync('git', ['worktree', 'remove', '--force', before], { stdio: 'pipe' });
    rmSync(before, { recursive: true, force: true });
  }
}

function timed(folder: string): Timed {
  const script = resolve('bench/training/timed-run.ts');
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--import', 'tsx', script, folder, String(STEPS)],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`${folder}: ${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Timed;
}
