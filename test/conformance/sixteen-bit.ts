/**
 * Products of weights in 16 bits or fewer, on tensor cores where the adapter has them (elsewhere by its own choice), against
 * the plain f32 kernel; and a policy whose adapter is still 0 against its reference, bit by bit.
 */
import { allocateTensor, type Tensor, upload, whole } from '../../src/autograd/tensor.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import type { Recorder } from '../../src/gpu/program.ts';
import { quantize } from '../../src/models/loading/quantize.ts';
import {
  launchLinear,
  launchLinearBackwardInput,
  launchLinearBackwardWeight,
} from '../../src/ops/linear/linear.ts';
import { expectClose } from '../support/close.ts';
import { record } from '../support/record.ts';
import { openTrainer, randomPairs, runSteps } from '../support/trainer.ts';
import { gridValues, Workbench } from '../support/workbench.ts';
import type { ConformanceCase } from './case.ts';

const group = '16-bit';

/** Rounding of both operands to f16, as a share of the largest result. */
const TOLERANCE = 2e-3;

/** Operands of a product of T tokens with a weight [N, K] and a LoRA pair of rank R; values that f16 cannot hold. */
class Operands {
  readonly bench: Workbench;
  readonly size: { readonly T: number; readonly N: number; readonly K: number };
  constructor(gpu: Gpu, [T, N, K]: readonly [number, number, number]) {
    this.bench = new Workbench(gpu);
    this.size = { T, N, K };
  }

  make(label: string, shape: readonly number[], dtype: 'f32' | 'f16' | 'bf16' = 'f32'): Tensor {
    const seed = [...label].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
    const { data } = gridValues(seed, shape);
    const values = dtype === 'f32' ? Float32Array.from(data, (value) => value / 3) : data;
    return this.bench.floats(label, { shape, data: values, dtype });
  }
}

type Make = (operands: Operands, recorder: Recorder) => Tensor;

function product(name: string, shape: readonly [number, number, number], make: Make): ConformanceCase {
  return {
    group,
    name,
    async run({ gpu }) {
      const by = async (variant: 'plain' | 'matrices') => {
        gpu.choices.linear = variant;
        const operands = new Operands(gpu, shape);
        const [values] = await record(gpu, (recorder) => [make(operands, recorder)]);
        operands.bench.free();
        return values;
      };
      try {
        const expected = await by('plain');
        const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        const scaled = (values: Float32Array) => values.map((value) => value / largest);
        expectClose(scaled(await by('matrices')), scaled(expected), TOLERANCE, name);
      } finally {
        gpu.choices.clear();
      }
    },
  };
}

/** A weight [N, K] in 8 or 4 bits, K a multiple of 64. */
function quantized({ bench, size: { N, K } }: Operands, dtype: 'i8' | 'nf4'): Tensor {
  const { gpu } = bench;
  const { packed, scales } = quantize(Float32Array.from(gridValues(7, [N, K]).data), dtype);
  const scaleTensor = allocateTensor(gpu, 'scales', [N, K / 64], 'f32', 'weights');
  const weight = { ...allocateTensor(gpu, 'w', [N, K], dtype, 'weights'), scales: scaleTensor };
  upload(gpu, weight, packed);
  upload(gpu, scaleTensor, scales);
  for (const tensor of [weight, scaleTensor]) bench.adopt(tensor);
  return weight;
}

const products: readonly ConformanceCase[] = [
  product('x wᵀ, bf16, ragged tiles, added to what is there', [33, 68, 36], (o, recorder) => {
    const { T, N, K } = o.size;
    const y = o.make('y', [T, N]);
    const weight = o.make('w', [N, K], 'bf16');
    launchLinear(recorder, whole(o.make('x', [T, K])), whole(y), {
      rows: T,
      weight,
      scale: 0.5,
      accumulate: true,
    });
    return y;
  }),
  product('x wᵀ + residual, f16, several tiles', [150, 96, 172], (o, recorder) => {
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

export const sixteenBitCases: readonly ConformanceCase[] = [...products, sameBits];
