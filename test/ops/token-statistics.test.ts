/** Entropy, KL, ranks and most probable tokens against the same computed in f64 over the whole vocabulary. */
import { describe, expect, it } from 'vitest';
import {
  recordTokenStatistics,
  STRIDE,
  statisticsColumn,
  TOP,
} from '../../src/ops/logps/token-statistics.ts';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { record } from '../support/record.ts';
import { gridValues, type HostTensor, Workbench } from '../support/workbench.ts';

/** log softmax of one row's logits in f64. */
function logSoftmax(hidden: HostTensor, head: HostTensor, row: number, softcap?: number): Float64Array {
  const [vocabulary, width] = head.shape;
  const z = Float64Array.from({ length: vocabulary }, (_, v) => {
    let sum = 0;
    for (let k = 0; k < width; k++) sum += hidden.data[row * width + k] * head.data[v * width + k];
    return softcap === undefined ? sum : softcap * Math.tanh(sum / softcap);
  });
  const largest = z.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const total = Math.log(z.reduce((sum, v) => sum + Math.exp(v - largest), 0)) + largest;
  return z.map((v) => v - total);
}

/** Sums [R, 4] and most probable tokens [R, TOP, 2] of the rows. */
function parts(found: Float32Array): { sums: Float32Array; top: Float32Array } {
  const rows = Array.from({ length: found.length / STRIDE }, (_, r) =>
    found.subarray(r * STRIDE, (r + 1) * STRIDE),
  );
  return {
    sums: Float32Array.from(rows.flatMap((row) => [...row.subarray(0, 4)])),
    top: Float32Array.from(rows.flatMap((row) => [...row.subarray(4)])),
  };
}

async function check(
  rows: number,
  vocabulary: number,
  { refWidth = 8, softcap }: { refWidth?: number; softcap?: number } = {},
): Promise<void> {
  const gpu = await testGpu();
  const bench = new Workbench(gpu);
  const [hidden, head] = [gridValues(1, [rows, 8], 0.5), gridValues(2, [vocabulary, 8], 0.5)];
  const [refHidden, refHead] = [
    gridValues(3, [rows, refWidth], 0.5),
    gridValues(4, [vocabulary, refWidth], 0.5),
  ];
  const targets = Array.from({ length: rows }, (_, r) => (r * 7919) % vocabulary);
  const tensors = [hidden, head, refHidden, refHead].map((t, i) => bench.floats(`input ${i}`, t));
  const ids = bench.indices('targets', [rows], targets);
  const [found, kl] = await record(gpu, (recorder) => {
    const [own, other] = [0, 2].map((i) => ({
      hidden: tensors[i],
      head: { weight: tensors[i + 1], softcap },
    }));
    const statistics = recordTokenStatistics(recorder, own, ids, other);
    return [statistics, statisticsColumn(recorder, statistics, 'kl')];
  });
  const { sums, top } = parts(found);
  expect([...kl]).toEqual(Array.from({ length: rows }, (_, r) => sums[4 * r + 1]));
  bench.free();
  for (let r = 0; r < rows; r++) {
    const p = logSoftmax(hidden, head, r, softcap);
    const q = logSoftmax(refHidden, refHead, r, softcap);
    const sum = (term: (v: number) => number) => p.reduce((total, _, v) => total + term(v), 0);
    const expected = [
      sum((v) => -Math.exp(p[v]) * p[v]),
      sum((v) => Math.exp(p[v]) * (p[v] - q[v])),
      sum((v) => Math.exp(q[v]) * (q[v] - p[v])),
    ];
    expectClose(sums.subarray(4 * r, 4 * r + 3), expected, 1e-4, `row ${r}`);
    const beyond = (margin: number) => p.filter((logp) => logp > p[targets[r]] + margin).length;
    expect(sums[4 * r + 3]).toBeGreaterThanOrEqual(beyond(1e-5));
    expect(sums[4 * r + 3]).toBeLessThanOrEqual(beyond(-1e-5));
    const order = [...p.keys()].sort((a, b) => p[b] - p[a] || a - b).slice(0, TOP);
    const words = Array.from({ length: TOP }, (_, i) => top[2 * (r * TOP + i)]);
    expect(words).toEqual(order);
    const logps = Array.from({ length: TOP }, (_, i) => top[2 * (r * TOP + i) + 1]);
    expectClose(
      logps,
      order.map((v) => p[v]),
      1e-5,
      `top candidate of row ${r}`,
    );
  }
}

describe('token statistics', () => {
  it.each([
    ['a small vocabulary', 5, 37],
    ['several chunks of the vocabulary, the last ragged', 3, 5000],
    ['a vocabulary of 50257', 2, 50257],
    ['more rows than a chunk has', 1030, 16],
  ])('%s', (_, rows, vocabulary) => check(rows, vocabulary));

  it('another stream of another width', () => check(4, 100, { refWidth: 4 }));

  it('capped logits', () => check(4, 100, { softcap: 3 }));

  it('equal streams have a KL of exactly 0, equal logits the rank of their ids', async () => {
    const gpu = await testGpu();
    const bench = new Workbench(gpu);
    const hidden = bench.floats('hidden', gridValues(1, [2, 4]));
    const head = bench.floats('head', { shape: [6, 4], data: Array.from({ length: 24 }, (_, i) => i % 4) });
    const ids = bench.indices('targets', [2], [0, 4]);
    const stream = { hidden, head: { weight: head, softcap: undefined } };
    const [found] = await record(gpu, (recorder) => [recordTokenStatistics(recorder, stream, ids, stream)]);
    const { sums, top } = parts(found);
    bench.free();
    expect([sums[1], sums[2], sums[5], sums[6]]).toEqual([0, 0, 0, 0]);
    expect([sums[3], sums[7]]).toEqual([0, 4]);
    expect([0, 1, 2, 3, 4].map((i) => top[2 * i])).toEqual([0, 1, 2, 3, 4]);
    expectClose([sums[0]], [Math.log(6)], 1e-6, 'entropy');
  });
});
