/** Paired and unpaired rows, and the KL from mismatched completions. */
import { describe, expect, it } from 'vitest';
import { activate } from '../../src/objectives/choice.ts';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { type HostPair, runStep } from './step.ts';

const active = activate({ name: 'kto', settings: { desirable_weight: 1.5, undesirable_weight: 0.5 } });
const mismatched = { logps: [-2], ref: [-3.5] };
const [a, b, c, d] = [[-1, -0.5], [-2, -3, -1], [-0.25], [-4, -1]].map((logps) => ({
  logps,
  ref: logps.map((p) => p / 2),
}));

describe('KTO', () => {
  it('gives unpaired rows the losses and gradients of the same answers in pairs', async () => {
    const gpu = await testGpu();
    const paired = await runStep(gpu, active, [
      { chosen: a, rejected: b, mismatched },
      { chosen: c, rejected: d, mismatched },
    ]);
    const rows: HostPair[] = [
      { chosen: a, mismatched },
      { rejected: b, mismatched },
      { chosen: c, mismatched },
      { rejected: d, mismatched },
    ];
    const unpaired = await runStep(gpu, active, rows);
    expectClose([unpaired.loss], [paired.loss], 1e-6, 'loss');
    expectClose(unpaired.gradient.chosen.flat(), paired.gradient.chosen.flat(), 1e-6, 'chosen');
    expectClose(unpaired.gradient.rejected.flat(), paired.gradient.rejected.flat(), 1e-6, 'rejected');
    const answerLosses = [0, 1].flatMap((p) => [
      paired.values.losses_desirable[p],
      paired.values.losses_undesirable[p],
    ]);
    expectClose(unpaired.values.losses, answerLosses, 1e-6, 'losses per row');
  });

  it('takes the mean over all answers where one kind outnumbers the other', async () => {
    const rows: HostPair[] = [
      { chosen: a, mismatched },
      { chosen: c, mismatched },
      { rejected: d, mismatched },
    ];
    const { loss, values } = await runStep(await testGpu(), active, rows);
    expectClose([loss], [values.losses.reduce((x, y) => x + y) / 3], 1e-6, 'loss');
  });

  it('estimates the KL as the mean drift of mismatched completions, never below 0, and lets nothing flow into it', async () => {
    const gpu = await testGpu();
    const drift = (by: number) => ({ chosen: a, rejected: b, mismatched: { logps: [-2], ref: [-2 - by] } });
    const up = await runStep(gpu, active, [drift(1), drift(2)]);
    expectClose(up.values.kl, [1.5], 1e-6, 'KL');
    const down = await runStep(gpu, active, [drift(-1), drift(-2)]);
    expect(down.values.kl).toEqual([0]);
    const all = up.values.gradient;
    const tokens = a.logps.length + b.logps.length;
    expect([all[tokens], all[2 * tokens + 1]]).toEqual([0, 0]);
  });
});
