import { beforeAll, describe, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device.ts';
import { rmsNorm } from '../../src/ops/norm/rms-norm.ts';
import { checkFixture, checkOp } from '../support/check-op.ts';
import { fixturesOf } from '../support/fixtures.ts';
import { testGpu } from '../support/gpu.ts';
import { inBothFormsOfRows } from '../support/rows.ts';
import { gridValues } from '../support/workbench.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

inBothFormsOfRows(
  () => [gpu],
  () => {
    describe("rms_norm is PyTorch's", () => {
      it.each(fixturesOf('rms_norm').map((f) => [f.name, f] as const))('%s', async (_name, fixture) => {
        const eps = Number(fixture.attrs.eps);
        await checkFixture(gpu, fixture, ['x', 'weight'], ['y'], {
          op: rmsNorm,
          attributes: () => ({ eps }),
        });
      });
    });

    describe('rms_norm against finite differences', () => {
      it.each([
        ['rows fewer than the runs of the weight gradient', 3, 12],
        ['rows more than the runs, and ragged', 71, 4],
        ['a width that is no multiple of 4', 5, 7],
        ['two vec4s to an invocation, the second ragged', 2, 132],
      ])('%s', async (_name, rows, width) => {
        const inputs = [gridValues(4, [rows, width]), gridValues(5, [width])];
        await checkOp(gpu, { op: rmsNorm, inputs, attributes: () => ({ eps: 1e-5 }) });
      });

      it.each([
        ['1 + w', { eps: 1e-5, unitOffset: true }, [[9, 8], [8]]],
        ['with a residual', { eps: 1e-5 }, [[9, 8], [8], [9, 8]]],
        ['over each of three heads of a row', { eps: 1e-5 }, [[5, 24], [8]]],
      ])('%s', async (_name, settings, shapes) => {
        const inputs = shapes.map((shape, i) => gridValues(4 + i, shape));
        await checkOp(gpu, { op: rmsNorm, inputs, attributes: () => settings });
      });

      it('of a frozen weight', async () => {
        const inputs = [gridValues(4, [5, 8]), gridValues(5, [8])];
        await checkOp(gpu, { op: rmsNorm, inputs, attributes: () => ({ eps: 1e-2 }), differentiate: [0] });
      });
    });
  },
);
