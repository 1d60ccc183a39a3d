import { beforeAll, describe, expect, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device.ts';
import { epsilonLogps } from '../../src/ops/logps/epsilon-logps.ts';
import { checkFixture, checkOp, runOp } from '../support/check-op.ts';
import { fixturesOf, type OpFixture } from '../support/fixtures.ts';
import { testGpu } from '../support/gpu.ts';
import { inBothFormsOfRows } from '../support/rows.ts';
import { gridValues, Workbench } from '../support/workbench.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

const INPUTS = ['hidden', 'weight', 'ref_hidden', 'ref_weight'];

const attributesOf =
  ({ inputs, attrs }: OpFixture) =>
  (bench: Workbench) => ({
    targets: bench.indices('targets', inputs.targets.shape, inputs.targets.data),
    epsilon: Number(attrs.epsilon),
    softcap: (attrs.softcap as number | null) ?? undefined,
  });

inBothFormsOfRows(
  () => [gpu],
  () => {
    describe("epsilon_logps is PyTorch's in f64", () => {
      it.each(fixturesOf('epsilon_logp').map((f) => [f.name, f] as const))('%s', async (_name, fixture) => {
        const outputs = ['logp', 'ref_logp', 'plus_minus_logp', 'logp_minus_minus'];
        await checkFixture(gpu, fixture, INPUTS, outputs, {
          op: epsilonLogps,
          attributes: attributesOf(fixture),
        });
      });

      it('a policy equal to its reference changes by exactly 0', async () => {
        const [fixture] = fixturesOf('epsilon_logp').filter((f) => f.name === 'policy = reference');
        const bench = new Workbench(gpu);
        const inputs = INPUTS.map((name) => fixture.inputs[name]);
        const { outputs } = await runOp(
          bench,
          epsilonLogps,
          inputs,
          attributesOf(fixture)(bench),
          'leaf',
          [],
          undefined,
        );
        bench.free();
        expect([...outputs[2], ...outputs[3]].every((x) => x === 0)).toBe(true);
      });
    });

    describe('epsilon_logps against finite differences', () => {
      it('the gradient of log p, with a reference of another width', async () => {
        const inputs = [
          gridValues(1, [3, 8]),
          gridValues(2, [37, 8]),
          gridValues(3, [3, 4]),
          gridValues(4, [37, 4]),
        ];
        const attributes = (bench: Workbench) => ({
          targets: bench.indices('targets', [3], [0, 36, 4]),
          epsilon: 0.3,
        });
        await checkOp(gpu, { op: epsilonLogps, inputs, attributes, differentiate: [0, 1] });
        // With a frozen head its direction comes from the forward pass.
        await checkOp(gpu, { op: epsilonLogps, inputs, attributes, differentiate: [0] });
      });
    });
  },
);
