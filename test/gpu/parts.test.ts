/** Profiles know what of a step each dispatch belongs to. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device.ts';
import { type Part, Recorder } from '../../src/gpu/program.ts';
import { recordFill } from '../../src/ops/elementwise/fill.ts';
import { testGpu } from '../support/gpu.ts';
import { Workbench } from '../support/workbench.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

describe('the parts of a step', () => {
  it('are named by the outermost, and end where they end, also by an error', () => {
    const bench = new Workbench(gpu);
    const x = bench.floats('x', { shape: [4], data: [0, 0, 0, 0] });
    const recorder = new Recorder(gpu);
    const dispatch = () => recordFill(recorder, x, 1);
    dispatch();
    recorder.asPart('objective', () => {
      dispatch();
      recorder.asPart('backward', dispatch);
      dispatch();
    });
    expect(() =>
      recorder.asPart('reference', () => {
        dispatch();
        throw new RangeError('stop');
      }),
    ).toThrow('stop');
    dispatch();
    const expected: Part[] = ['forward', 'objective', 'objective', 'objective', 'reference', 'forward'];
    expect(recorder.parts).toEqual(expected);
    bench.free();
  });
});
