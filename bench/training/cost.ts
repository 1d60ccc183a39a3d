/** What a step of DPO costs by the length of answers, the number of pairs and the size of the vocabulary. */
import type { Runtime } from '../../src/runtime/runtime.ts';
import type { LlamaSize } from '../../test/support/random-llama.ts';
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

/** Where buffers lie differs from opening to opening, and with it what fits into a cache. */
const OPENINGS = 7;

/**
 * Three series of four sizes. Cost is linear where the slope over the last doubling is the slope over the two before it.
 */
export async function benchCost(
  runtime: Runtime,
  model: LlamaSize,
  lengths: { readonly prompt: number; readonly answer: number },
  rounds: number,
): Promise<Row[]> {
  const point = (size: number, pairs: number, answer: number, vocabulary: number): Point => ({
    size,
    shape: `${pairs} pairs, ${lengths.prompt} + 2 x ${answer} tokens, ${vocabulary} words`,
    model: { ...model, vocabulary },
    pairs: pairsOf(pairs, lengths.prompt, answer, vocabulary),
  });
  const { answer } = lengths;
  const { vocabulary } = model;
  return [
    ...(await series(
      runtime,
      'cost by answer length',
      FACTORS.map((factor) => point(factor * answer, 4, factor * answer, vocabulary)),
      rounds,
    )),
    ...(await series(
      runtime,
      'cost by pairs',
      FACTORS.map((factor) => point(factor * 4, factor * 4, answer, vocabulary)),
      rounds,
    )),
    ...(await series(
      runtime,
      'cost by vocabulary',
      FACTORS.map((factor) => point(factor * 8 * vocabulary, 4, answer, factor * 8 * vocabulary)),
      rounds,
    )),
  ];
}

async function series(
  runtime: Runtime,
  work: string,
  points: readonly Point[],
  rounds: number,
): Promise<Row[]> {
  const name = (i: number) => String(points[i].size);
  /** The fastest step of each opening, by point: neighbours on the machine only ever add time, and hide slopes. */
  const times: number[][] = points.map(() => []);
  let checked = true;
  for (let opening = 0; opening < OPENINGS; opening++) {
    const opened: { readonly bench: StepBench; readonly trainer: OpenTrainer }[] = [];
    for (const { model, pairs } of points) {
      const bench = await StepBench.open(runtime, model);
      opened.push({ bench, trainer: await bench.trainer({ objective: { name: 'dpo' }, pairs }) });
    }
    const turns = await takeTurns(
      opened.map(({ trainer }, i) => ({ name: name(i), run: trainer.step })),
      Math.ceil(rounds / OPENINGS),
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
