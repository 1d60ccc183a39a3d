/** What a step of DPO costs by the length of answers, the number of pairs and the size of the vocabulary. */
import type { Runtime } from '../../src/index.ts';
import type { LlamaSize } from '../random-llama.ts';
import type { Row } from '../report.ts';
import { interval, median, takeTurns } from '../timing.ts';
import { type OpenTrainer, pairsOf, StepBench } from './step.ts';

interface Point {
  readonly size: number;
  readonly shape: string;
  readonly model: LlamaSize;
  readonly pairs: ReturnType<typeof pairsOf>;
}

const FACTORS = [1, 2, 4, 8];

/** Steps that are timed in each opening. */
const ROUNDS = 6;

export interface CostSetup {
  readonly model: LlamaSize;
  /** Tokens of a prompt and of the shortest answers, and the size of the smallest vocabulary. */
  readonly prompt: number;
  readonly answer: number;
  readonly vocabulary: number;
  /** Where buffers lie differs from opening to opening, and with it what fits into a cache. */
  readonly openings: number;
}

/**
 * Three series of four sizes. Cost is linear where the slope over the last doubling is the slope over the two before it.
 */
export async function benchCost(runtime: Runtime, setup: CostSetup): Promise<Row[]> {
  const { model, prompt, answer, openings } = setup;
  const point = (size: number, pairs: number, length: number, vocabulary: number): Point => ({
    size,
    shape: `${pairs} pairs, ${prompt} + 2 x ${length} tokens, a vocabulary of ${vocabulary}`,
    model: { ...model, vocabulary },
    pairs: pairsOf(pairs, prompt, length, vocabulary),
  });
  const { vocabulary } = model;
  return [
    ...(await series(
      runtime,
      'cost by answer length',
      FACTORS.map((factor) => point(factor * answer, 4, factor * answer, vocabulary)),
      openings,
    )),
    ...(await series(
      runtime,
      'cost by pairs',
      FACTORS.map((factor) => point(factor * 4, factor * 4, answer, vocabulary)),
      openings,
    )),
    ...(await series(
      runtime,
      'cost by vocabulary',
      FACTORS.map((factor) => point(factor * setup.vocabulary, 4, answer, factor * setup.vocabulary)),
      openings,
    )),
  ];
}

async function series(
  runtime: Runtime,
  work: string,
  points: readonly Point[],
  openings: number,
): Promise<Row[]> {
  const name = (i: number) => String(points[i].size);
  /** The fastest step of each opening, by point: neighbours on the machine only ever add time, and hide slopes. */
  const times: number[][] = points.map(() => []);
  let checked = true;
  for (let opening = 0; opening < openings; opening++) {
    const opened: { readonly bench: StepBench; readonly trainer: OpenTrainer }[] = [];
    for (const { model, pairs } of points) {
      const bench = await StepBench.open(runtime, model);
      opened.push({ bench, trainer: await bench.trainer({ objective: { name: 'dpo' }, pairs }) });
    }
    const turns = await takeTurns(
      opened.map(({ trainer }, i) => ({ name: name(i), run: trainer.step })),
      ROUNDS,
    );
    for (const [i, { bench, trainer }] of opened.entries()) {
      times[i].push(Math.min(...turns[name(i)]));
      checked &&= Math.abs(trainer.firstLoss - Math.LN2) < 1e-4;
      trainer.free();
      bench.gpu.close();
    }
  }
  const slope = (opening: number, from: number, to: number) =>
    (times[to][opening] - times[from][opening]) / (points[to].size - points[from].size);
  const last = points.length - 1;
  const bend = interval(times[0].map((_, n) => slope(n, last - 1, last) / slope(n, 0, last - 1)));
  return points.map(({ size, shape }, i): Row => {
    const ours_ms = median(times[i]);
    return {
      work,
      shape,
      size,
      ours_ms,
      peer: name(0),
      peer_ms: median(times[0]),
      ratio: median(times[0]) / ours_ms,
      checked,
      note:
        i === last
          ? `slope ${bend.median.toFixed(2)} of the one before, in [${bend.low.toFixed(2)}, ${bend.high.toFixed(2)}]; 1 is linear`
          : '',
    };
  });
}
