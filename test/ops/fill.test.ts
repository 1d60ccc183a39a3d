import { beforeAll, describe, expect, it } from 'vitest';
import { allocateTensor } from '../../src/autograd/tensor.ts';
import { randomWord } from '../../src/data/random.ts';
import { encodeFloats } from '../../src/formats/half.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { recordCast, recordFill } from '../../src/ops/elementwise/fill.ts';
import { testGpu } from '../support/gpu.ts';
import { record } from '../support/record.ts';
import { gridValues, Workbench } from '../support/workbench.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

describe('fill', () => {
  it('sets every element', async () => {
    const bench = new Workbench(gpu);
    const x = bench.floats('x', gridValues(1, [1031]));
    const [values] = await record(gpu, (recorder) => {
      recordFill(recorder, x, 2.5);
      return [x];
    });
    expect(values.every((v) => v === 2.5)).toBe(true);
    bench.free();
  });
});

describe('fill rounds to nearest even, as the host does', () => {
  it.each([
    ['f16', 'F16', 13, 2 ** -14, 65504],
    ['bf16', 'BF16', 16, 2 ** -120, 1e38],
  ] as const)('%s', async (dtype, hostDType, droppedBits, smallest, largest) => {
    // Random bits in the range of the dtype, every second one exactly half way between two of its values.
    const words = Uint32Array.from({ length: 8192 }, (_, i) => randomWord(1, 2, i));
    const half = 1 << (droppedBits - 1);
    const tied = words.map((w, i) => (i % 2 === 0 ? w : ((w >>> droppedBits) << droppedBits) | half));
    const inRange = (x: number) => Math.abs(x) >= smallest && Math.abs(x) <= largest;
    const data = new Float32Array(tied.buffer).map((x) => (inRange(x) ? x : 1));
    const bench = new Workbench(gpu);
    const from = bench.floats('masters', { shape: [8192], data });
    const to = allocateTensor(gpu, 'copy', [8192], dtype, 'weights');
    bench.adopt(to);
    await record(gpu, (recorder) => {
      recordCast(recorder, from, to);
      return [];
    });
    const halves = new Uint16Array(await gpu.read(to.shards[0]));
    const expected = new Uint16Array(encodeFloats(data, hostDType).buffer);
    const first = halves.findIndex((bits, i) => bits !== expected[i]);
    expect(first === -1 ? 'equal' : `${data[first]} became ${halves[first]}, not ${expected[first]}`).toBe(
      'equal',
    );
    bench.free();
  });
});
