/**
 * A step on one rank and on two, which share the cores of this machine: what ranks cost, not what they win. Then what a step
 * would take on 8 and 64 cards.
 */
import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { Gpu } from '../../src/engine.ts';
import type { Runtime } from '../../src/index.ts';
import { measured, type Report, type Row, reportOf } from '../report.ts';
import type { Exchanged, Measured } from './job.ts';
import { type Predicted, predictions, TOKENS_PER_CARD } from './predict.ts';

const RANKS = 2;
/** Below this share of compute a step does not scale. */
const SCALES = 0.8;

export async function benchRanks(runtime: Runtime, quick: boolean): Promise<Report> {
  const rounds = quick ? 3 : 9;
  const rows: Row[] = [];
  let sumBytes = 0;
  for (const mode of ['lora', 'full'] as const) {
    const one = job(1, mode, rounds);
    const several = job(RANKS, mode, rounds);
    sumBytes = several.sums.bytes / several.trained;
    rows.push(measured(rowOf(mode, one, several)));
  }
  for (const predicted of predictions(sumBytes)) rows.push(measured(predictedRow(predicted)));
  const gpu = await Gpu.open(runtime);
  const report = reportOf(gpu, rows);
  gpu.close();
  return report;
}

/** Starts ranks that together have as many threads as one process would. */
function job(ranks: number, mode: string, rounds: number): Measured {
  const program = [process.execPath, '--import', 'tsx', 'bench/ranks/job.ts', mode, String(rounds)];
  const launch = [
    'mpirun',
    '--allow-run-as-root',
    '--oversubscribe',
    '--bind-to',
    'none',
    '-n',
    String(ranks),
  ];
  const [command, ...args] = ranks > 1 ? [...launch, ...program] : program;
  const threads = Math.max(1, Math.floor(availableParallelism() / ranks));
  const env = { ...process.env, LP_NUM_THREADS: String(threads) };
  const out = execFileSync(command, args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  return JSON.parse(out) as Measured;
}

function rowOf(mode: string, one: Measured, several: Measured): Row {
  const { sums, gathers } = several;
  const hidden = sums.hidden_ms / (sums.ms + gathers.ms);
  return {
    work: `step on ${RANKS} ranks, ${mode}`,
    shape: `${millions(one.trained)} of ${millions(one.parameters)} weights trained`,
    ours_ms: several.step_ms,
    peer: '1 rank, as many threads',
    peer_ms: one.step_ms,
    ratio: one.step_ms / several.step_ms,
    checked: Math.abs(one.firstLoss - several.firstLoss) < 1e-5,
    note: [
      `sums ${exchangeText(sums)}`,
      ...(gathers.count > 0 ? [`weights ${exchangeText(gathers)}`] : []),
      `without exchange ${several.without_ms.toFixed(1)} ms`,
      `${(100 * hidden).toFixed(0)}% of the exchange while the backward pass went on`,
    ].join('; '),
  };
}

const millions = (count: number) => `${(count / 1e6).toFixed(2)}M`;

const exchangeText = ({ count, bytes, ms }: Exchanged) =>
  `${(bytes / 1e6).toFixed(1)} MB in ${count.toFixed(0)} exchanges, ${ms.toFixed(1)} ms`;

function predictedRow({
  model,
  mode,
  cards,
  bytes,
  computeMs,
  exchangeMs,
  hidden,
  stepMs,
  efficiency,
}: Predicted): Row {
  return {
    work: `predicted: ${model} ${mode}, ${cards} cards`,
    shape: `${TOKENS_PER_CARD} tokens on each`,
    ours_ms: stepMs,
    peer: 'compute alone',
    peer_ms: computeMs,
    ratio: efficiency,
    checked: false,
    note:
      `${(bytes / 1e9).toFixed(2)} GB, ${exchangeMs.toFixed(0)} ms, ${(100 * hidden).toFixed(0)}% hidden; ` +
      (efficiency >= SCALES ? 'scales' : 'does not scale'),
  };
}
