/** Which forms of a product on tensor cores fit where, counted by hand. */
import { describe, expect, it } from 'vitest';
import { MATRIX_VARIANTS, type MatrixVariant } from '../../src/gpu/choices.ts';
import type { MatrixProfile } from '../../src/gpu/profile.ts';
import { rowsTileFor } from '../../src/ops/linear/matrix-rows.ts';
import {
  deepestTile,
  MATRIX_FORMS,
  matrixVariants,
  type TileLimits,
} from '../../src/ops/linear/matrix-tiles.ts';
import { APPLE, limitsOf, NVIDIA, NVIDIA_LIMITS } from '../support/matrix-devices.ts';

const SQUARE: readonly MatrixVariant[] = ['matrices', 'matrices_pipelined'];
/** lavapipe's. */
const CPU: MatrixProfile = { M: 8, N: 8, K: 8, subgroupSize: 8, block: 2 };

function fitting(matrices: MatrixProfile, limits: TileLimits) {
  return matrixVariants({ profile: { matrices }, device: { limits } });
}

describe('tiles of linear_matrices', () => {
  // Two operands of (depth + 8) f16 a row, and strips of f32 results: 16 x 64 for each subgroup, or 16 x 16.
  it.each([
    ['matrices', 128, 32, 128, 2 * 256 * 40 + 4 * 4 * 16 * 64],
    ['matrices_pipelined', 128, 32, 128, 2 * 2 * 256 * 40 + 4 * 4 * 16 * 16],
    ['matrices_shallow', 128, 16, 128, 2 * 2 * 256 * 24 + 4 * 4 * 16 * 16],
    ['matrices_wide', 256, 16, 256, 2 * 2 * 384 * 24 + 4 * 8 * 16 * 16],
  ] as const)('%s: %d x 128 x %d by %d invocations on NVIDIA', (variant, rows, depth, invocations, bytes) => {
    const tile = deepestTile(NVIDIA, MATRIX_FORMS[variant], NVIDIA_LIMITS);
    expect(tile).toMatchObject({ rows, columns: 128, depth, invocations, bytes });
    expect(bytes).toBeLessThan(48 * 1024);
  });

  it('matrices_narrow: half of 128 x 128 each way', () => {
    const bytes = 2 * 2 * 128 * 40 + 4 * 4 * 16 * 16;
    const tile = { rows: 64, columns: 64, depth: 32, invocations: 128, block: 2, bytes };
    expect(deepestTile(NVIDIA, MATRIX_FORMS.matrices_narrow, NVIDIA_LIMITS)).toMatchObject(tile);
    expect(deepestTile(CPU, MATRIX_FORMS.matrices_narrow, NVIDIA_LIMITS)).toMatchObject({ block: 1 });
  });

  it('are narrow where the result is', () => {
    const gpu = { profile: { matrices: NVIDIA }, device: { limits: NVIDIA_LIMITS } };
    const first = (edge?: number) => matrixVariants(gpu, edge)[0];
    expect([16, 64, 65, undefined].map(first)).toEqual([
      'matrices_narrow',
      'matrices_narrow',
      'matrices',
      'matrices',
    ]);
    expect(matrixVariants(gpu, 64).sort()).toEqual([...MATRIX_VARIANTS].sort());
  });

  it('hold in registers what an invocation stages of the next slab', () => {
    const aheadOf = (variant: MatrixVariant) =>
      deepestTile(NVIDIA, MATRIX_FORMS[variant], NVIDIA_LIMITS)?.ahead;
    expect(aheadOf('matrices')).toEqual({ own: 0, other: 0 });
    expect(aheadOf('matrices_pipelined')).toEqual({ own: 8, other: 8 });
    expect(aheadOf('matrices_wide')).toEqual({ own: 4, other: 2 });
  });

  it('are no deeper than shared memory allows', () => {
    const depthIn = (kilobytes: number, variant: MatrixVariant) =>
      deepestTile(NVIDIA, MATRIX_FORMS[variant], limitsOf(kilobytes, 1024))?.depth;
    expect([36, 35, 28, 27].map((limit) => depthIn(limit, 'matrices'))).toEqual([32, 16, 16, undefined]);
    expect([44, 43, 28, 27].map((limit) => depthIn(limit, 'matrices_pipelined'))).toEqual([
      32,
      16,
      16,
      undefined,
    ]);
    expect([68, 67, 44, 43].map((limit) => depthIn(limit, 'matrices_wide'))).toEqual([32, 16, 16, undefined]);
  });

  it('are of the forms that a device has memory and invocations for', () => {
    expect(fitting(NVIDIA, NVIDIA_LIMITS)).toEqual(MATRIX_VARIANTS);
    expect(fitting(NVIDIA, limitsOf(32, 1024))).toEqual([...SQUARE, 'matrices_narrow']);
    expect(fitting(NVIDIA, limitsOf(16, 1024))).toEqual(['matrices_narrow']);
    expect(fitting(NVIDIA, limitsOf(48, 128))).toEqual([...SQUARE, 'matrices_shallow', 'matrices_narrow']);
    // Pipelined tiles of matrices of 8 steps are no deeper.
    const unlikeOthers = MATRIX_VARIANTS.filter((variant) => variant !== 'matrices_shallow');
    expect(fitting(APPLE, limitsOf(32, 1024))).toEqual(unlikeOthers);
    // Half a vec4 of the narrower operand to each of 512 invocations, and of both to each of 256.
    expect(fitting({ ...APPLE, subgroupSize: 64 }, limitsOf(32, 1024))).toEqual(SQUARE);
  });
});

describe('tiles of the few rows of a decoding step', () => {
  it.each([
    [1, 16, 21_248],
    [16, 16, 21_248],
    [17, 32, 25_600],
    [64, 64, 34_304],
    [65, 64, 34_304],
  ])('%i rows: %i high on NVIDIA', (rows, high, bytes) => {
    const tile = { rows: high, columns: 32, depth: 32, bytes };
    expect(rowsTileFor(NVIDIA, rows, NVIDIA_LIMITS)).toMatchObject(tile);
  });

  it('are lower where shared memory is small, and none where it is too small', () => {
    expect(rowsTileFor(NVIDIA, 64, limitsOf(32, 1024))?.rows).toBe(32);
    expect(rowsTileFor(NVIDIA, 64, limitsOf(16, 1024))).toBeUndefined();
    expect(rowsTileFor(APPLE, 64, limitsOf(32, 1024))).toMatchObject({
      rows: 32,
      ahead: { own: 4, other: 2 },
    });
  });
});
