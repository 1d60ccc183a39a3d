/** One step of an objective over log-probs given by hand. */
import type { Tensor } from '../../src/autograd/tensor.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import type { ActiveObjective } from '../../src/objectives/choice.ts';
import type { ObjectiveState, TokenInputs } from '../../src/objectives/objective.ts';
import { runObjective } from '../../src/objectives/run.ts';
import { accumulate, tapeFor } from '../../src/ops/index.ts';
import { record } from '../support/record.ts';
import { Workbench } from '../support/workbench.ts';

/** Per-token numbers of one answer. What is absent is 0. */
export interface HostAnswer {
  readonly logps: readonly number[];
  readonly ref?: readonly number[];
  readonly diff?: readonly number[];
  readonly weights?: readonly number[];
  readonly plus?: readonly number[];
  readonly minus?: readonly number[];
}

/** A pair; an unpaired row lacks one side, and an empty slot both. */
export interface HostPair {
  readonly chosen?: HostAnswer;
  readonly rejected?: HostAnswer;
  readonly mismatched?: HostAnswer;
}

export interface StepOptions {
  /** Pairs of the whole optimizer step, where `pairs` is a micro-batch of it. */
  readonly step?: readonly HostPair[];
  /** Default: the objective's initial state. */
  readonly state?: Readonly<Record<string, number>>;
  readonly gumbels?: readonly number[];
  /** Default true. */
  readonly training?: boolean;
}

export interface StepRun {
  readonly loss: number;
  /** Everything the objective gave, by name; accumulators keep their 'step.', the next state gets 'next.'. */
  readonly values: Readonly<Record<string, number[]>>;
  /** dL/dlogp, [pair][token]; empty in evaluation. */
  readonly gradient: { readonly chosen: number[][]; readonly rejected: number[][] };
}

const SIDES = ['chosen', 'rejected', 'mismatched'] as const;
type Field = keyof HostAnswer;

export async function runStep(
  gpu: Gpu,
  active: ActiveObjective,
  pairs: readonly HostPair[],
  options: StepOptions = {},
): Promise<StepRun> {
  const bench = new Workbench(gpu);
  try {
    const training = options.training ?? true;
    const { tokens, segments } = layOut(bench, pairs, options, training);
    const initial = { ...active.initState, ...options.state };
    const state: ObjectiveState = Object.fromEntries(
      Object.entries(initial).map(([name, value]) => [
        name,
        bench.floats(name, { shape: [1], data: [value] }),
      ]),
    );
    let names: string[] = [];
    const arrays = await record(gpu, (recorder) => {
      const run = runObjective(recorder, active, tokens, state);
      if (training) {
        for (const [name, value] of Object.entries(run.accumulate ?? {}))
          accumulate(recorder, value, { tensor: state[name], accumulate: true });
      }
      const next = training ? (active.nextState?.(tapeFor(recorder), state) ?? {}) : {};
      const results: Record<string, Tensor | undefined> = {
        ...run.metrics,
        ...run.scalars,
        ...run.accumulate,
        ...run.details,
        ...Object.fromEntries(Object.entries(next).map(([name, value]) => [`next.${name}`, value])),
        loss: run.loss,
        losses: run.losses,
        weights: run.weights,
        contributions: run.contributions,
        'rewards/chosen': run.rewards.chosen,
        'rewards/rejected': run.rewards.rejected,
        gradient: run.gradient,
      };
      const given = Object.entries(results).filter((e): e is [string, Tensor] => e[1] !== undefined);
      names = given.map(([name]) => name);
      return given.map(([, tensor]) => tensor);
    });
    const values = Object.fromEntries(names.map((name, i) => [name, Array.from(arrays[i])]));
    const cut = (side: 'chosen' | 'rejected') =>
      segments[side].map(([start, end]) => (values.gradient ?? []).slice(start, end));
    return { loss: values.loss[0], values, gradient: { chosen: cut('chosen'), rejected: cut('rejected') } };
  } finally {
    bench.free();
  }
}

function layOut(
  bench: Workbench,
  pairs: readonly HostPair[],
  { step = pairs, gumbels }: StepOptions,
  training: boolean,
): { tokens: TokenInputs; segments: Record<(typeof SIDES)[number], [number, number][]> } {
  const segments: Record<(typeof SIDES)[number], [number, number][]> = {
    chosen: [],
    rejected: [],
    mismatched: [],
  };
  const columns: Record<Field, number[]> = { logps: [], ref: [], diff: [], weights: [], plus: [], minus: [] };
  const fields = Object.keys(columns) as Field[];
  for (const pair of pairs) {
    for (const side of SIDES) {
      const answer = pair[side] ?? { logps: [] };
      const start = columns.logps.length;
      for (const field of fields) columns[field].push(...(answer[field] ?? answer.logps.map(() => 0)));
      segments[side].push([start, columns.logps.length]);
    }
  }
  const rows = columns.logps.length;
  const perToken = (field: Field) => bench.floats(field, { shape: [rows], data: columns[field] });
  const perPair = (label: string, value: (pair: HostPair, p: number) => number) =>
    bench.floats(label, { shape: [pairs.length], data: pairs.map(value) });
  const isPair = (pair: HostPair) => pair.chosen !== undefined || pair.rejected !== undefined;
  const realPairs = step.filter(isPair).length;
  const answers = step.flatMap((p) => [p.chosen, p.rejected]).filter((a) => a !== undefined).length;
  const chosenTokens = step.reduce((n, p) => n + (p.chosen?.logps.length ?? 0), 0);
  const side = (name: (typeof SIDES)[number]) => ({
    segments: bench.indices(name, [pairs.length, 2], segments[name].flat()),
    lengths: perPair(`|${name}|`, (_, p) => Math.max(1, segments[name][p][1] - segments[name][p][0])),
  });
  const uses = (field: Field) =>
    pairs.some((p) => SIDES.some((s) => p[s]?.[field] !== undefined)) ? perToken(field) : undefined;
  const tokens: TokenInputs = {
    logps: perToken('logps'),
    refLogps: perToken('ref'),
    diff: perToken('diff'),
    dataWeights: uses('weights'),
    logpSteps: { plus: perToken('plus'), minus: perToken('minus') },
    chosen: side('chosen'),
    rejected: side('rejected'),
    mismatched: side('mismatched'),
    pairWeights: perPair('pair weights', (p) => (isPair(p) ? 1 / realPairs : 0)),
    likelihoodWeights: perPair('likelihood weights', (p) => (p.chosen === undefined ? 0 : 1 / chosenTokens)),
    labels: {
      desirable: perPair('desirable', (p) => (p.chosen === undefined ? 0 : 1 / answers)),
      undesirable: perPair('undesirable', (p) => (p.rejected === undefined ? 0 : 1 / answers)),
    },
    gumbels: perPair('gumbels', (_, p) => gumbels?.[p] ?? 0),
    training,
  };
  return { tokens, segments };
}

/** Pairs of the given lengths with seeded log-probs and differences. */
export function randomPairs(seed: number, lengths: readonly (readonly [number, number])[]): HostPair[] {
  let word = seed;
  const uniform = () => {
    word = (Math.imul(word, 1664525) + 1013904223) >>> 0;
    return word / 2 ** 32;
  };
  const list = (n: number, value: () => number) => Array.from({ length: n }, value);
  const answer = (n: number): HostAnswer => ({
    logps: list(n, () => Math.fround(-3 * uniform())),
    ref: list(n, () => Math.fround(-3 * uniform())),
    diff: list(n, () => Math.round(uniform())),
    plus: list(n, () => Math.fround(uniform() - 0.5)),
    minus: list(n, () => Math.fround(uniform() - 0.5)),
  });
  return lengths.map(([w, l]) => ({
    chosen: answer(w),
    rejected: answer(l),
    mismatched: { logps: [-4 * uniform()], ref: [-6 * uniform()] },
  }));
}
