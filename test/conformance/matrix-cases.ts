/**
 * The long list for tensor cores: products in every orientation with every weight, pair, epilogue and edge; attention with every
 * length of head; log-probs; and a policy against its reference, bit by bit, by every variant.
 */
import { type Tensor, whole } from '../../src/autograd/tensor.ts';
import type { ProductVariant } from '../../src/gpu/choices.ts';
import { loadModel } from '../../src/models/loading/load.ts';
import {
  type LowRank,
  launchLinear,
  launchLinearBackwardInput,
  launchLinearBackwardWeight,
} from '../../src/ops/linear/linear.ts';
import { epsilonLogps } from '../../src/ops/logps/epsilon-logps.ts';
import { tokenLogps } from '../../src/ops/logps/token-logps.ts';
import { runOp } from '../support/check-op.ts';
import { expectSameAlone } from '../support/packing.ts';
import { openTrainer, randomPairs, runSteps } from '../support/trainer.ts';
import { gridValues, Workbench } from '../support/workbench.ts';
import {
  attended,
  gated,
  type Operands,
  product,
  quantized,
  sameByMatrices,
  withBias,
} from './by-matrices.ts';
import type { ConformanceCase } from './case.ts';
import { decodingCases } from './decoding-cases.ts';
import { halfInputCases } from './half-inputs.ts';
import { formCases } from './matrix-forms.ts';
import { rangeCases } from './range-cases.ts';
import { turnedCases } from './turned-cases.ts';

const group = '16-bit';

const WEIGHTS = ['f16', 'bf16', 'i8', 'nf4'] as const;
const PAIRS = ['f32', 'f16', 'bf16'] as const;
const SIZE = [70, 68, 128] as const;

function weightOf(o: Operands, dtype: (typeof WEIGHTS)[number]): Tensor {
  const { N, K } = o.size;
  return dtype === 'f16' || dtype === 'bf16' ? o.make('w', [N, K], dtype) : quantized(o, dtype);
}

/** A pair of rank 8: forward its other half is [N, 8], backward [8, K]. */
function pairOf(o: Operands, shape: readonly number[], dtype: (typeof PAIRS)[number]): LowRank {
  return { own: whole(o.make('low', [o.size.T, 8])), other: o.make('other', shape, dtype) };
}

const forward = WEIGHTS.flatMap((dtype) =>
  ([undefined, ...PAIRS] as const).map((pair) =>
    product(`x wᵀ, weights in ${dtype}, pair ${pair ?? 'none'}`, SIZE, (o, recorder) => {
      const { T, N, K } = o.size;
      const y = o.make('y', [T, N]);
      const lowRank = pair && pairOf(o, [N, 8], pair);
      const sizes = { rows: T, weight: weightOf(o, dtype), scale: 1, accumulate: true };
      launchLinear(recorder, whole(o.make('x', [T, K])), whole(y), sizes, { lowRank });
      return y;
    }),
  ),
);

const input = WEIGHTS.flatMap((dtype) =>
  ([undefined, ...PAIRS] as const).map((pair) =>
    product(`dy w, weights in ${dtype}, pair ${pair ?? 'none'}`, SIZE, (o, recorder) => {
      const { T, N, K } = o.size;
      const dx = o.make('dx', [T, K]);
      const lowRank = pair && pairOf(o, [8, K], pair);
      const sizes = { rows: T, weight: weightOf(o, dtype), scale: 1, accumulate: true };
      launchLinearBackwardInput(recorder, whole(o.make('dy', [T, N])), whole(dx), sizes, lowRank);
      return dx;
    }),
  ),
);

const weight = ([1, 2, 5] as const).flatMap((splits) =>
  [true, false].map((accumulate) =>
    product(`dyᵀ x, ${splits} splits, ${accumulate ? 'added' : 'written'}`, [150, 36, 44], (o, recorder) => {
      const { T, N, K } = o.size;
      recorder.gpu.choices.splitK = splits;
      const dw = o.make('dw', [N, K]);
      const sizes = { rows: T, weight: dw, scale: 1, accumulate, stored: 'bf16' as const };
      launchLinearBackwardWeight(recorder, whole(o.make('dy', [T, N])), whole(o.make('x', [T, K])), sizes);
      return dw;
    }),
  ),
);

const gatedBlocks = (['silu', 'gelu_tanh'] as const).flatMap((activation) => [
  gated(`${activation}(gate) up, weights in f16`, activation, (o, label) => o.make(label, [68, 64], 'f16')),
  gated(`${activation}(gate) up, weights in nf4`, activation, (o) => quantized(o, 'nf4')),
]);

const edges = (
  [
    [16, 4, 4],
    [17, 4, 36],
    [32, 32, 32],
    [33, 36, 28],
    [129, 132, 20],
  ] as const
).map((shape) => product(`x wᵀ of ${shape.join(' x ')}`, shape, withBias('bf16')));

function withHeads(headDim: number): ConformanceCase {
  return attended(`attention, heads of ${headDim}`, { headDim });
}

const attentions = [
  ...[32, 64].map(withHeads),
  attended('attention, a window', { headDim: 16, window: 6 }),
  attended('attention, a window and a cap', { headDim: 16, window: 6, softcap: 3, scale: 2 }),
];

const TARGETS = { shape: [20], data: Array.from({ length: 20 }, (_, i) => (37 * i) % 300) };

const logps: ConformanceCase = {
  group,
  name: 'token log-probs and their gradient, a head of 300 tokens in bf16',
  run: ({ gpu }) =>
    sameByMatrices(gpu, 'token log-probs', async () => {
      const bench = new Workbench(gpu);
      const inputs = [
        gridValues(1, [20, 64], 0.5),
        { ...gridValues(2, [300, 64], 0.5), dtype: 'bf16' as const },
      ];
      const targets = bench.indices('targets', TARGETS.shape, TARGETS.data);
      const dy = gridValues(3, [20]);
      const { outputs, gradients } = await runOp(bench, tokenLogps, inputs, { targets }, 'inner', [0], dy);
      bench.free();
      return [...outputs, ...gradients.filter((gradient) => gradient !== undefined)];
    }),
};

const epsilons: ConformanceCase = {
  group,
  name: 'epsilon log-probs, both heads of 300 tokens in bf16',
  run: ({ gpu }) =>
    sameByMatrices(gpu, 'epsilon log-probs', async () => {
      const bench = new Workbench(gpu);
      const head = (seed: number) => ({ ...gridValues(seed, [300, 64], 0.5), dtype: 'bf16' as const });
      const inputs = [gridValues(1, [20, 64], 0.5), head(2), gridValues(3, [20, 64], 0.5), head(4)];
      const targets = bench.indices('targets', TARGETS.shape, TARGETS.data);
      const { outputs } = await runOp(
        bench,
        epsilonLogps,
        inputs,
        { targets, epsilon: 0.1 },
        'inner',
        [],
        undefined,
      );
      bench.free();
      return outputs;
    }),
};

/** Of tensor cores one form: the bits of the others are the same (matrix-forms.ts). */
const VARIANTS: readonly ProductVariant[] = ['plain', 'subgroup', 'tiled', 'tiled16', 'matrices'];
const DTYPES = ['f32', 'f16', 'bf16'] as const;
const MODULES = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const;

/** DPO's rewards of a policy whose adapter is still 0; `modules` carry LoRA. */
function firstStep(
  variant: ProductVariant,
  dtype: (typeof DTYPES)[number],
  modules: readonly string[],
): ConformanceCase {
  const which = modules.length === 1 ? modules[0] : 'every module';
  return {
    group,
    name: `policy and reference are bit-equal at step 0: ${variant}, ${dtype}, LoRA on ${which}`,
    async run({ gpu }) {
      gpu.choices.linear = variant;
      if (variant.startsWith('matrices')) gpu.choices.attention = 'matrices';
      try {
        const trainer = await openTrainer(gpu, {
          objective: { name: 'dpo' },
          train: randomPairs(4, 2, 3, 9),
          mode: 'in_step',
          dtype,
          lora: { r: 4, alpha: 8, targetModules: modules },
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
}

const firstSteps = VARIANTS.flatMap((variant) =>
  DTYPES.flatMap((dtype) => [
    firstStep(variant, dtype, MODULES),
    // f16 and bf16 take the same kernels but for how a weight is widened.
    ...(dtype === 'f16' ? [] : MODULES.map((module) => firstStep(variant, dtype, [module]))),
  ]),
).concat(firstStep('matrices_wide', 'bf16', MODULES));

const packing: ConformanceCase = {
  group,
  name: 'tensor cores give a row the same log-probs alone and behind others',
  async run({ gpu }) {
    const options = { train: 'none', dtype: 'bf16', positions: 256 } as const;
    const model = await loadModel(gpu, 'examples/stories260K', options);
    try {
      Object.assign(gpu.choices, { attention: 'matrices', linear: 'matrices', rows: 'workgroup' });
      for (const name of ['dpo', 'epsilon-dpo']) await expectSameAlone(gpu, model, name);
    } finally {
      gpu.choices.clear();
      model.free();
    }
  },
};

export const matrixCases: readonly ConformanceCase[] = [
  ...forward,
  ...input,
  ...weight,
  ...gatedBlocks,
  ...edges,
  ...attentions,
  logps,
  epsilons,
  packing,
  ...firstSteps,
  ...formCases,
  ...rangeCases,
  ...turnedCases,
  ...decodingCases,
  ...halfInputCases,
];

/** For GPUs alone: a CPU adapter takes an hour to compile these. */
export const longHeadCases: readonly ConformanceCase[] = [96, 128, 256].map(withHeads);
