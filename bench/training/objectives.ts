/** The step of every method beside dpo's, on one model of at least 5M parameters (CPU adapter) or 1B (GPU). */
import { objectives } from '../../src/objectives/registry.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import { type Row, reportOf } from '../report.ts';
import { median, pairedRatio, takeTurns } from '../timing.ts';
import { pairsOf, StepBench, type StepSetup } from './step.ts';

const CPU_MODEL = { vocabulary: 4096, hidden: 256, inner: 688, layers: 6, heads: 8, kvHeads: 4 };
const GPU_MODEL = { vocabulary: 128256, hidden: 2048, inner: 8192, layers: 16, heads: 32, kvHeads: 8 };

/** What the project promises: step time as a multiple of dpo's (or of dpo's with a live reference). */
const GOALS: Readonly<Record<string, { readonly peer: string; readonly most: number }>> = {
  'dpo + bmc': { peer: 'dpo', most: 1.02 },
  mipo: { peer: 'dpo', most: 1.02 },
  'epsilon-dpo': { peer: 'dpo, live reference', most: 1.05 },
};

export async function benchObjectives(runtime: Runtime, quick: boolean) {
  const probe = await StepBench.open(runtime, CPU_MODEL);
  const bench = probe.gpu.isCpu ? probe : await StepBench.open(runtime, GPU_MODEL);
  const { vocabulary } = probe.gpu.isCpu ? CPU_MODEL : GPU_MODEL;
  const pairs = probe.gpu.isCpu ? pairsOf(2, 12, 20, vocabulary) : pairsOf(16, 256, 256, vocabulary);
  const setups: [string, StepSetup][] = [
    ['dpo', { objective: { name: 'dpo' }, pairs }],
    ['dpo, live reference', { objective: { name: 'dpo' }, reference: { mode: 'in_step' }, pairs }],
    ['dpo + bmc', { objective: { name: 'dpo', bmc: {} }, pairs }],
    ...objectives
      .filter(({ name }) => name !== 'dpo' && (!quick || name in GOALS))
      .map(({ name }): [string, StepSetup] => [name, { objective: { name }, pairs }]),
  ];
  const opened = [];
  for (const [name, setup] of setups) opened.push({ name, ...(await bench.trainer(setup)) });
  const dpo = opened[0].firstLoss;
  // A policy that is its reference gives these losses, whatever the model.
  const known: Readonly<Record<string, number>> = {
    'dpo, live reference': dpo,
    'dpo + bmc': dpo,
    'epsilon-dpo': dpo,
  };
  const times = await takeTurns(
    opened.map(({ name, step }) => ({ name, run: step })),
    quick ? 3 : 20,
  );
  const rows = opened
    .filter(({ name }) => name !== 'dpo')
    .map(({ name, firstLoss }): Row => {
      const expected = known[name] ?? firstLoss;
      const goal = GOALS[name];
      const peer = goal?.peer ?? 'dpo';
      const cost = pairedRatio(times[name], times[peer]);
      const met = goal && (cost.high <= goal.most ? 'met' : 'not met');
      return {
        work: `step of ${name}`,
        shape: `${(bench.parameters / 1e6).toFixed(1)}M parameters, ${pairs.length} pairs`,
        ours_ms: median(times[name]),
        peer,
        peer_ms: median(times[peer]),
        ratio: 1 / cost.median,
        checked: Number.isFinite(firstLoss) && Math.abs(firstLoss - expected) < 1e-4,
        note:
          `${cost.median.toFixed(3)} of ${peer}, in [${cost.low.toFixed(3)}, ${cost.high.toFixed(3)}]` +
          (goal ? `; goal at most ${goal.most}: ${met}` : ''),
      };
    });
  const report = reportOf(bench.gpu, rows);
  bench.gpu.close();
  probe.gpu.close();
  return report;
}
