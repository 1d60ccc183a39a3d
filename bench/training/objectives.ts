/** The step of every method beside dpo's, on one model of at least 5M parameters (CPU adapter) or 1B (GPU). */
import type { PairExample } from '../../src/engine.ts';
import { objectives, type Runtime } from '../../src/index.ts';
import { type Row, reportOf } from '../report.ts';
import { type Contender, median, pairedRatio, type Rounds, takeTurns } from '../timing.ts';
import { pairsOf, StepBench, type StepSetup } from './step.ts';

const CPU_MODEL = { vocabulary: 4096, hidden: 256, inner: 688, layers: 6, heads: 8, kvHeads: 4 };
const GPU_MODEL = { vocabulary: 128256, hidden: 2048, inner: 8192, layers: 16, heads: 32, kvHeads: 8 };

const CACHED = 'epsilon-dpo, cached hidden states';

/** What the project promises: step time as a multiple of the peer's, given the head's share of the forward FLOPs. */
const GOALS: readonly {
  readonly name: string;
  readonly peer: string;
  readonly most: (headShare: number) => number;
}[] = [
  { name: 'dpo + bmc', peer: 'dpo', most: () => 1.02 },
  { name: 'mipo', peer: 'dpo', most: () => 1.02 },
  { name: 'epsilon-dpo', peer: 'dpo, live reference', most: () => 1.05 },
  { name: CACHED, peer: 'dpo', most: (headShare) => 1 + 0.6 * headShare },
];

const ROUNDS = { quick: 3, full: 20 } as const;

/** A goal's duel goes on until its interval is this encodeFloats, whatever the interval says, or patience ends. */
const DUEL = { width: 0.02, leap: 100, most: 1600 } as const;

/** @param only one goal's duel, and nothing else */
export async function benchObjectives(runtime: Runtime, quick: boolean, only?: string) {
  const goals = GOALS.filter(({ name }) => only === undefined || name === only);
  if (goals.length === 0)
    throw new RangeError(`--only takes one of: ${GOALS.map(({ name }) => name).join('; ')}.`);
  const probe = await StepBench.open(runtime, CPU_MODEL);
  const onCpu = probe.gpu.isCpu;
  const bench = onCpu ? probe : await StepBench.open(runtime, GPU_MODEL);
  const size = onCpu ? CPU_MODEL : GPU_MODEL;
  const pairs = onCpu ? pairsOf(2, 12, 20, size.vocabulary) : pairsOf(16, 256, 256, size.vocabulary);
  const setups: [string, StepSetup][] = [
    ['dpo', { objective: { name: 'dpo' }, pairs }],
    ['dpo, live reference', { objective: { name: 'dpo' }, reference: { mode: 'in_step' }, pairs }],
    ['dpo + bmc', { objective: { name: 'dpo', bmc: {} }, pairs }],
    [CACHED, { objective: { name: 'epsilon-dpo' }, reference: { mode: 'precompute' }, pairs }],
    ...objectives
      .filter(({ name }) => name !== 'dpo' && (!quick || GOALS.some((goal) => goal.name === name)))
      .map(({ name }): [string, StepSetup] => [name, { objective: { name }, pairs }]),
  ];
  const setupOf = (name: string): StepSetup => {
    const setup = new Map(setups).get(name);
    if (setup === undefined) throw new RangeError(`There is no ${name} to time.`);
    return setup;
  };
  const shape = `${(bench.parameters / 1e6).toFixed(1)}M parameters, ${pairs.length} pairs`;
  /** Two at a time: memory has room for no more. */
  const rowOf = async (
    name: string,
    peer: string,
    time: (ours: Contender, peer: Contender) => Promise<Rounds>,
    most?: number,
  ): Promise<Row> => {
    const [own, other] = [await bench.trainer(setupOf(name)), await bench.trainer(setupOf(peer))];
    const times = await time({ name, run: own.step }, { name: peer, run: other.step });
    own.free();
    other.free();
    const cost = pairedRatio(times[name], times[peer]);
    const verdict = most && `; goal at most ${most.toFixed(3)}: ${cost.high <= most ? 'met' : 'not met'}`;
    return {
      work: `step of ${name}`,
      shape,
      ours_ms: median(times[name]),
      peer,
      peer_ms: median(times[peer]),
      ratio: 1 / cost.median,
      checked: startsRight(name, own.firstLoss),
      note:
        `${cost.median.toFixed(3)} of ${peer}, in [${cost.low.toFixed(3)}, ${cost.high.toFixed(3)}], ${times[name].length} rounds` +
        (verdict ?? ''),
    };
  };

  const rows: Row[] = [];
  const share = headShare(size, pairs);
  for (const { name, peer, most } of goals)
    rows.push(await rowOf(name, peer, (ours, theirs) => duel(ours, theirs, quick), most(share)));
  const rounds = quick ? ROUNDS.quick : ROUNDS.full;
  for (const [name] of only === undefined ? setups : [])
    if (name !== 'dpo' && !GOALS.some((goal) => goal.name === name))
      rows.push(await rowOf(name, 'dpo', (ours, theirs) => takeTurns([theirs, ours], rounds)));
  const report = reportOf(bench.gpu, rows);
  bench.gpu.close();
  probe.gpu.close();
  return report;
}

async function duel(ours: Contender, peer: Contender, quick: boolean): Promise<Rounds> {
  const times: Record<string, number[]> = { [ours.name]: [], [peer.name]: [] };
  const leap = quick ? ROUNDS.quick : DUEL.leap;
  for (let rounds = 0; rounds < (quick ? leap : DUEL.most); rounds += leap) {
    const more = await takeTurns([peer, ours], leap);
    for (const [name, values] of Object.entries(more)) times[name].push(...values);
    const { low, high } = pairedRatio(times[ours.name], times[peer.name]);
    if (high - low < DUEL.width) break;
  }
  return times;
}

/** A policy that is its reference gives these methods a loss of ln 2, whatever the model; the others a finite one. */
function startsRight(name: string, firstLoss: number): boolean {
  const likeDpo = ['dpo, live reference', 'dpo + bmc', 'epsilon-dpo', CACHED].includes(name);
  return Number.isFinite(firstLoss) && (!likeDpo || Math.abs(firstLoss - Math.LN2) < 1e-4);
}

/** The head's share of the forward pass: 2 FLOPs per parameter and token, the head on response tokens alone. */
function headShare(
  { hidden, inner, layers, heads, kvHeads, vocabulary }: typeof CPU_MODEL,
  pairs: readonly PairExample[],
): number {
  const responses = pairs.reduce((n, { chosen, rejected }) => n + chosen.ids.length + rejected.ids.length, 0);
  const tokens = pairs.reduce((n, { promptIds }) => n + promptIds.length, responses);
  const layer = 2 * hidden * hidden * (1 + kvHeads / heads) + 3 * hidden * inner;
  const head = responses * hidden * vocabulary;
  return head / (head + tokens * layers * layer);
}
