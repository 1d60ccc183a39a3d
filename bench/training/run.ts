/** Whole training steps: the headline methods, each technique with and without, cost by size, and where the time goes. */
import type { Gpu } from '../../src/engine.ts';
import { Program } from '../../src/gpu/index.ts';
import type { Runtime } from '../../src/index.ts';
import { measured, type Report, type Row, reportOf } from '../report.ts';
import { median, pairedRatio, takeTurns } from '../timing.ts';
import { benchCost } from './cost.ts';
import { benchQuantized } from './quantized.ts';
import { pairsOf, StepBench, type StepSetup } from './step.ts';

const CPU_MODEL = { vocabulary: 512, hidden: 64, inner: 172, layers: 5, heads: 8, kvHeads: 4 };
const GPU_MODEL = { vocabulary: 128256, hidden: 2048, inner: 8192, layers: 16, heads: 32, kvHeads: 8 };

/** @param only 'profile', where the time of a step goes, or 'quantized', LoRA on 8B in 8 and 4 bits; default all but that */
export async function benchTraining(runtime: Runtime, quick: boolean, only?: string) {
  if (only === 'quantized') return benchQuantized(runtime, quick);
  const probe = await StepBench.open(runtime, CPU_MODEL);
  const bench = probe.gpu.isCpu ? probe : await StepBench.open(runtime, GPU_MODEL);
  const model = bench === probe ? CPU_MODEL : GPU_MODEL;
  const rounds = quick ? 3 : 40;
  const [prompt, answer] = bench === probe ? [30, 50] : [512, 512];
  const pairs = pairsOf(8, prompt, answer, model.vocabulary);
  const dpo: StepSetup = { objective: { name: 'dpo' }, pairs };
  const inStep: StepSetup = { ...dpo, reference: { mode: 'in_step' } };
  const rows: Row[] = [];
  if (only === 'profile') {
    for (const [name, setup] of [['dpo', dpo] as const, ['dpo without a cached reference', inStep] as const])
      rows.push(...(await split(bench, name, setup)));
    return closed(bench, probe, rows);
  }

  const methods: [string, StepSetup][] = [
    ['dpo', dpo],
    ['dpo + bmc', { ...dpo, objective: { name: 'dpo', bmc: {} } }],
    ['mipo', { ...dpo, objective: { name: 'mipo' } }],
    ['epsilon-dpo', { ...dpo, objective: { name: 'epsilon-dpo' } }],
  ];
  rows.push(...(await compare(bench, methods, rounds)));

  const techniques: [string, StepSetup][] = [
    ['dpo', dpo],
    ['dpo without prompt sharing', { ...dpo, training: { prompt_sharing: false } }],
    ['dpo without packing', { ...dpo, training: { packing: false } }],
    ['dpo without a cached reference', inStep],
    ['dpo with every block recomputed', { ...dpo, training: { gradient_checkpointing: true } }],
    ["dpo with the optimizer's moments on the host", { ...dpo, training: { offload_optimizer: true } }],
  ];
  rows.push(...(await compare(bench, techniques, rounds)));

  if (!quick)
    rows.push(
      ...(await benchCost(
        runtime,
        bench === probe
          ? { model, prompt, answer, vocabulary: 4096, openings: 7 }
          : { model: { ...model, layers: 4 }, prompt, answer, vocabulary: 32768, openings: 2 },
      )),
    );
  for (const [name, setup] of [...methods, ['dpo without a cached reference', inStep] as const])
    rows.push(...(await split(bench, name, setup)));
  return closed(bench, probe, rows);
}

function closed(bench: StepBench, probe: StepBench, rows: readonly Row[]): Report {
  const report = reportOf(bench.gpu, rows);
  bench.gpu.close();
  probe.gpu.close();
  return report;
}

function tokensOf(setup: StepSetup): number {
  return setup.pairs.reduce(
    (n, p) => n + p.promptIds.length + p.chosen.ids.length + p.rejected.ids.length - 2,
    0,
  );
}

/** Policy and reference are the same weights, so every form of DPO begins at ln 2. */
function isRight(firstLoss: number, { objective }: StepSetup): boolean {
  return Number.isFinite(firstLoss) && (objective.name !== 'dpo' || Math.abs(firstLoss - Math.LN2) < 1e-4);
}

/** Every setup beside the first, two at a time: memory has room for no more. Peak bytes are measured one setup at a time. */
async function compare(
  bench: StepBench,
  setups: readonly [string, StepSetup][],
  rounds: number,
): Promise<Row[]> {
  const rows: Row[] = [];
  const [first] = setups;
  for (const setup of setups) rows.push(await besideFirst(bench, first, setup, rounds));
  return rows;
}

async function besideFirst(
  bench: StepBench,
  [firstName, first]: readonly [string, StepSetup],
  [name, setup]: readonly [string, StepSetup],
  rounds: number,
): Promise<Row> {
  const before = bench.gpu.memory.current;
  bench.gpu.memory.resetPeak();
  const own = await bench.trainer(setup);
  const peak = bench.gpu.memory.peak - before;
  const other = await bench.trainer(first);
  const times = await takeTurns(
    [
      { name: 'other', run: other.step },
      { name: 'own', run: own.step },
    ],
    rounds,
  );
  own.free();
  other.free();
  const ours_ms = median(times.own);
  const ratio = pairedRatio(times.other, times.own);
  const tokens = tokensOf(setup);
  return measured({
    work: `step: ${name}`,
    shape: `${setup.pairs.length} pairs, ${tokens} tokens`,
    ours_ms,
    peer: firstName,
    peer_ms: median(times.other),
    ratio: ratio.median,
    checked: isRight(own.firstLoss, setup),
    note:
      `${((1000 * tokens) / ours_ms).toFixed(0)} tokens/s, peak ${(peak / 2 ** 20).toFixed(1)} MiB; ` +
      `ratio in [${ratio.low.toFixed(3)}, ${ratio.high.toFixed(3)}]`,
  });
}

/** Host time spent encoding, GPU time by part (from timestamps, one pass per dispatch), and the rest of the step: waiting. */
async function split(bench: StepBench, name: string, setup: StepSetup): Promise<Row[]> {
  const { gpu } = bench;
  const { step, free, firstLoss } = await bench.trainer(setup);
  const ran = new Set<Program>();
  let encoding = 0;
  const run = Program.prototype.run;
  Program.prototype.run = function (this: Program) {
    ran.add(this);
    const start = performance.now();
    run.call(this);
    encoding += performance.now() - start;
  };
  const totals: number[] = [];
  const encodings: number[] = [];
  try {
    for (let i = 0; i < 7; i++) {
      encoding = 0;
      const start = performance.now();
      await step();
      totals.push(performance.now() - start);
      encodings.push(encoding);
    }
  } finally {
    Program.prototype.run = run;
  }
  const total = median(totals);
  const shape = `${setup.pairs.length} pairs, ${tokensOf(setup)} tokens`;
  const row = (work: string, ms: number, note: string): Row =>
    measured({
      work: `split of ${name}: ${work}`,
      shape,
      ours_ms: ms,
      peer: 'whole step',
      peer_ms: total,
      ratio: total / ms,
      checked: isRight(firstLoss, setup),
      note: `${((100 * ms) / total).toFixed(1)}% of the step; ${note}`,
    });
  const rows = [
    row('encode', median(encodings), 'host time in Program.run; goal below 20%'),
    row('wait', total - median(encodings), 'the rest of the step, in which the host waits'),
    ...(await profiled(gpu, [...ran], row)),
  ];
  free();
  return rows;
}

async function profiled(
  gpu: Gpu,
  programs: readonly Program[],
  row: (work: string, ms: number, note: string) => Row,
): Promise<Row[]> {
  if (!gpu.has('timestamp-query')) return [];
  const parts = new Map<string, number>();
  for (const program of programs)
    for (const { part, nanoseconds } of await program.profile())
      parts.set(part, (parts.get(part) ?? 0) + nanoseconds / 1e6);
  return [...parts].map(([part, ms]) => row(part, ms, 'GPU time, one pass per dispatch'));
}
