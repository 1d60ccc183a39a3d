/** Vocabularies of models that people use, on a few rows. */
import { beforeAll, describe, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device.ts';
import { tokenLogps } from '../../src/ops/logps/token-logps.ts';
import { runOp } from '../support/check-op.ts';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { gridValues, type HostTensor, Workbench } from '../support/workbench.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

const f64 = ({ shape, data }: HostTensor) => ({ shape, data: Float64Array.from(data) });

/** dlogp_r (W[y_r] - sum_v p_v W_v), in f64. */
function hiddenGradient(hidden: HostTensor, head: HostTensor, targets: readonly number[], dy: HostTensor) {
  const [rows, width] = hidden.shape;
  const vocabulary = head.shape[0];
  const gradient = new Float64Array(rows * width);
  for (let r = 0; r < rows; r++) {
    const z = Float64Array.from({ length: vocabulary }, (_, v) => {
      let sum = 0;
      for (let k = 0; k < width; k++) sum += hidden.data[r * width + k] * head.data[v * width + k];
      return sum;
    });
    const largest = z.reduce((a, b) => Math.max(a, b));
    const total = z.reduce((sum, value) => sum + Math.exp(value - largest), 0);
    for (let k = 0; k < width; k++) {
      let mean = 0;
      for (let v = 0; v < vocabulary; v++)
        mean += (Math.exp(z[v] - largest) / total) * head.data[v * width + k];
      gradient[r * width + k] = dy.data[r] * (head.data[targets[r] * width + k] - mean);
    }
  }
  return gradient;
}

describe.each([
  ['GPT-2', 50257],
  ['Llama 3', 128256],
])("token log-probs over %s's vocabulary", (_name, vocabulary) => {
  const hidden = gridValues(1, [3, 8]);
  const head = gridValues(2, [vocabulary, 8]);
  const dy = gridValues(3, [3]);
  const targets = [0, vocabulary - 1, 2048];

  it.each([
    ['trained', [0, 1]],
    ['frozen', [0]],
  ] as const)('with a head that is %s', async (_head, differentiate) => {
    const bench = new Workbench(gpu);
    const attributes = { targets: bench.indices('targets', [3], targets) };
    const run = await runOp(bench, tokenLogps, [hidden, head], attributes, 'inner', differentiate, dy);
    const [expected] = tokenLogps.reference([f64(hidden), f64(head)], attributes, bench.index);
    expectClose(run.outputs[0], expected.data, 1e-5, 'logps');
    expectClose(run.gradients[0] ?? [], hiddenGradient(hidden, head, targets, dy), 1e-5, 'd hidden');
    bench.free();
  });
});
