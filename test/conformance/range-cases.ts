/**
 * Products of LoRA pairs that read the same x: what is along the rank is a range of columns in wider rows. On tensor cores, against tiles in f32,
 * and by every form.
 */
import { whole } from '../../src/autograd/tensor.ts';
import {
  launchLinear,
  launchLinearBackwardInput,
  launchLinearBackwardWeight,
} from '../../src/ops/linear/linear.ts';
import { gridValues } from '../support/workbench.ts';
import { type Make, product, productValues } from './by-matrices.ts';
import type { ConformanceCase } from './case.ts';
import { inEveryForm } from './matrix-forms.ts';

/** A pair of rank 8 in columns 12 to 19 of 24. */
const RANK = 8;
const WIDTH = 24;
const range = { first: 12, width: WIDTH };

/** The plain kernel takes whole rows: all 24 columns with a B that is 0 but for 8 of them. */
const forward: Make = (o, recorder) => {
  const { T, N, K } = o.size;
  const isPlain = recorder.gpu.choices.linear === 'plain';
  const { data } = gridValues(9, [N, RANK]);
  const padded = Float64Array.from({ length: N * WIDTH }, (_, i) => {
    const column = (i % WIDTH) - range.first;
    return column < 0 || column >= RANK ? 0 : data[Math.floor(i / WIDTH) * RANK + column];
  });
  const b = isPlain ? { shape: [N, WIDTH], data: padded } : { shape: [N, RANK], data };
  const other = o.bench.floats('b', { ...b, dtype: 'bf16' });
  const lowRank = { own: whole(o.make('low', [T, WIDTH])), other, range: isPlain ? undefined : range };
  const y = o.make('y', [T, N]);
  const sizes = { rows: T, weight: o.make('w', [N, K], 'bf16'), scale: 1, accumulate: false };
  launchLinear(recorder, whole(o.make('x', [T, K])), whole(y), sizes, { lowRank });
  return y;
};

const gradientOfLow: Make = (o, recorder) => {
  const { T, N, K } = o.size;
  const dLow = o.make('dx', [T, WIDTH]);
  const sizes = { rows: T, weight: o.make('w', [N, K], 'bf16'), scale: 2, accumulate: false, range };
  launchLinearBackwardInput(recorder, whole(o.make('dy', [T, N])), whole(dLow), sizes);
  return dLow;
};

const gradientOfB =
  (splits: number): Make =>
  (o, recorder) => {
    const { T, N, K } = o.size;
    recorder.gpu.choices.splitK = splits;
    const db = o.make('dw', [N, K]);
    const sizes = { rows: T, weight: db, scale: 1, accumulate: true, stored: 'bf16' as const, range };
    launchLinearBackwardWeight(recorder, whole(o.make('dy', [T, N])), whole(o.make('x', [T, WIDTH])), sizes);
    return db;
  };

const works = [
  ['x wᵀ with a pair in a range of columns', [150, 68, 172], forward],
  ['dy b into a range of columns', [150, 68, RANK], gradientOfLow],
  ['dyᵀ of a range of columns', [150, 68, RANK], gradientOfB(1)],
  ['dyᵀ of a range of columns, 3 splits', [150, 68, RANK], gradientOfB(3)],
] as const;

export const rangeCases: readonly ConformanceCase[] = works.flatMap(([name, size, make]) => [
  product(name, size, make),
  inEveryForm(name, (gpu) => productValues(gpu, size, make)),
]);
