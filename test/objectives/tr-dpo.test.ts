/** The reference update: ref <- alpha policy + (1 - alpha) ref. */
import { expect, it } from 'vitest';
import { whole } from '../../src/autograd/tensor.ts';
import { activate } from '../../src/objectives/choice.ts';
import { gridFor, workgroupSize } from '../../src/ops/launch.ts';
import { readFixture } from '../cases/golden.ts';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { record } from '../support/record.ts';
import { Workbench } from '../support/workbench.ts';

interface Update {
  readonly tr_dpo: {
    readonly policy: number[];
    readonly ref: number[];
    readonly soft: readonly { readonly alpha: number; readonly ref_after: number[] }[];
  };
}

const { policy, ref, soft } = readFixture<Update>('golden/golden.json').tr_dpo;

it.each(soft.map((s) => [s.alpha, s.ref_after] as const))('alpha %f', async (alpha, expected) => {
  const gpu = await testGpu();
  const bench = new Workbench(gpu);
  const [from, reference] = [policy, ref].map((data) =>
    bench.floats('weights', { shape: [data.length], data }),
  );
  const [after] = await record(gpu, (recorder) => {
    recorder.launch({
      kernel: 'reference_update',
      constants: { WORKGROUP: workgroupSize(recorder) },
      overrides: { ALPHA: alpha },
      bindings: {
        policy: whole(from),
        reference: whole(reference),
        norm: whole(bench.floats('norm', { shape: [4], data: [1, 1, 1, 0] })),
      },
      grid: gridFor(recorder, policy.length),
    });
    return [reference];
  });
  expectClose(after, expected, 1e-6, 'reference');
  bench.free();
});

it('asks for a reference that nothing may cache', () => {
  expect(activate({ name: 'tr-dpo' }).needs).toEqual({
    reference: 'logps',
    referenceUpdate: { every: 64, share: 0.6 },
    rows: 'pairs',
  });
});
