/**
 * Products of weights in 16 bits or fewer, and attention, on tensor cores where the adapter has them (elsewhere by its own
 * choice), against the plain f32 kernels; and a policy whose adapter is still 0 against its reference, bit by bit.
 */
import { whole } from '../../src/autograd/tensor.ts';
import {
  launchLinear,
  launchLinearBackwardInput,
  launchLinearBackwardWeight,
} from '../../src/ops/linear/linear.ts';
import { openTrainer, randomPairs, runSteps } from '../support/trainer.ts';
import { attended, gated, type Make, product, productValues, quantized } from './by-matrices.ts';
import type { ConformanceCase } from './case.ts';
import { shortHalfInputCase } from './half-inputs.ts';
import { inEveryForm } from './matrix-forms.ts';

const group = '16-bit';

/** y += x wᵀ / 2. */
const added: Make = (o, recorder) => {
  const { T, N, K } = o.size;
  const y = o.make('y', [T, N]);
  const weight = o.make('w', [N, K], 'bf16');
  const sizes = { rows: T, weight, scale: 0.5, accumulate: true };
  launchLinear(recorder, whole(o.make('x', [T, K])), whole(y), sizes);
  return y;
};

const products: readonly ConformanceCase[] = [
  product('x wᵀ, bf16, ragged tiles, added to what is there', [33, 68, 36], added),
  // Ten row blocks of 32 on CPU adapters: a whole group of them and a ragged one, three column blocks in each.
  product('x wᵀ + residual, f16, several tiles', [300, 96, 172], (o, recorder) => {
    const { T, N, K } = o.size;
    const y = o.make('y', [T, N]);
    const weight = o.make('w', [N, K], 'f16');
    launchLinear(
      recorder,
      whole(o.make('x', [T, K])),
      whole(y),
      { rows: T, weight, scale: 1, accumulate: false },
      { added: { slice: whole(o.make('r', [T, N])), isBias: false } },
    );
    return y;
  }),
  product('dy w with a LoRA pair, bf16', [70, 68, 100], (o, recorder) => {
    const { T, N, K } = o.size;
    const dx = o.make('x', [T, K]);
    const product = { rows: T, weight: o.make('w', [N, K], 'bf16'), scale: 1, accumulate: false };
    const pair = { own: whole(o.make('low', [T, 8])), other: o.make('a', [8, K], 'bf16') };
    launchLinearBackwardInput(recorder, whole(o.make('dy', [T, N])), whole(dx), product, pair);
    return dx;
  }),
  product('dyᵀ x of a layer in bf16, the sum over tokens split', [150, 96, 172], (o, recorder) => {
    const { T, N, K } = o.size;
    recorder.gpu.choices.splitK = 3;
    const dw = o.make('dw', [N, K]);
    const product = { rows: T, weight: dw, scale: 1, accumulate: true, stored: 'bf16' as const };
    launchLinearBackwardWeight(recorder, whole(o.make('dy', [T, N])), whole(o.make('x', [T, K])), product);
    return dw;
  }),
  ...(['i8', 'nf4'] as const).map((dtype) =>
    product(`x wᵀ with a LoRA pair and a bias, weights in ${dtype}`, [40, 68, 128], (o, recorder) => {
      const { T, N, K } = o.size;
      const y = o.make('y', [T, N]);
      launchLinear(
        recorder,
        whole(o.make('x', [T, K])),
        whole(y),
        { rows: T, weight: quantized(o, dtype), scale: 1, accumulate: false },
        {
          lowRank: { own: whole(o.make('low', [T, 4])), other: o.make('b', [N, 4]) },
          added: { slice: whole(o.make('bias', [N])), isBias: true },
        },
      );
      return y;
    }),
  ),
];

const EVERY_MODULE = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];

const sameBits: ConformanceCase = {
  group,
  name: 'with LoRA on every module of a model in bf16, rewards of the first step are exactly 0',
  isLong: true,
  async run({ gpu }) {
    gpu.choices.linear = 'matrices';
    try {
      const trainer = await openTrainer(gpu, {
        objective: { name: 'dpo' },
        train: randomPairs(4, 2, 3, 9),
        mode: 'in_step',
        dtype: 'bf16',
        lora: { r: 4, alpha: 8, targetModules: EVERY_MODULE },
        training: { max_steps: 1 },
      });
      const [first] = await runSteps(trainer, 1);
      trainer.free();
      for (const name of ['rewards/chosen', 'rewards/rejected'])
        if (first[name] !== 0) throw new Error(`${name} is ${first[name]}.`);
    } finally {
      gpu.choices.clear();
    }
  },
};

export const sixteenBitCases: readonly ConformanceCase[] = [
  ...products,
  inEveryForm('x wᵀ, bf16, several slabs, added to what is there', (gpu) =>
    productValues(gpu, [150, 68, 172], added),
  ),
  gated('silu(gate) up, both kept in f16', 'silu', (o, label) => o.make(label, [68, 36], 'bf16')),
  // Scores so large that sums must be rescaled.
  attended('attention, two heads to a key, two documents', { headDim: 16, scale: 2 }),
  shortHalfInputCase,
  sameBits,
];
