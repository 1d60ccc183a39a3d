/** Products of a decoding step on tensor cores: the sizes of linear_rows_matrices.wgsl. */
import type { Gpu } from '../../gpu/device.ts';
import type { MatrixProfile } from '../../gpu/profile.ts';
import type { Recorder } from '../../gpu/program.ts';
import { decodesOnMatrices } from '../launch.ts';
import type { TileLimits } from './matrix-tiles.ts';

/** Subgroups of a workgroup, matrices side by side in its columns, and elements that pad a row of shared memory. */
const FORM = { subgroups: 4, columns: 2, padding: 8 } as const;

export interface RowsTile {
  readonly rows: number;
  readonly columns: number;
  /** Matrices on top of each other; the bits are the same with any number. */
  readonly rowMatrices: number;
  /** Steps of the sum that a subgroup takes of each slab. */
  readonly depth: number;
  /** vec4s of each operand that an invocation has in registers, ahead of the slab that is multiplied. */
  readonly ahead: { readonly own: number; readonly other: number };
  /** Of shared memory. */
  readonly bytes: number;
}

function rowsTile({ M, N, K, subgroupSize }: MatrixProfile, rowMatrices: number): RowsTile {
  const depth = 2 * K;
  const [rows, columns] = [rowMatrices * M, FORM.columns * N];
  const staged = 2 * (rows + columns) * (FORM.subgroups * depth + FORM.padding);
  const results = 4 * FORM.subgroups * M * columns;
  const held = (edge: number) => (edge * depth) / 4 / subgroupSize;
  const ahead = { own: held(rows), other: held(columns) };
  return { rows, columns, rowMatrices, depth, ahead, bytes: staged + results };
}

/** The lowest tile that has all `rows`, or else the highest that fits on a device; undefined where none does. */
export function rowsTileFor(
  matrices: MatrixProfile,
  rows: number,
  { maxComputeWorkgroupStorageSize: storage }: Pick<TileLimits, 'maxComputeWorkgroupStorageSize'>,
): RowsTile | undefined {
  const fitting = [1, 2, 4]
    .map((height) => rowsTile(matrices, height))
    .filter(({ bytes, ahead }) => bytes <= storage && Object.values(ahead).every(Number.isInteger));
  return fitting.find((tile) => rows <= tile.rows) ?? fitting.at(-1);
}

/** Whether products of a decoding step take the kernel, if 16 bits are enough for their weights. */
export function takesMatrixRows(recorder: Recorder): boolean {
  const { profile, device } = recorder.gpu;
  const { matrices } = profile;
  if (!decodesOnMatrices(recorder) || matrices === undefined) return false;
  return rowsTileFor(matrices, 1, device.limits) !== undefined;
}

/** The tile for so many rows and the constants that the kernel takes for it. @throws RangeError where none fits */
export function rowsLaunch({ profile: { matrices }, device }: Gpu, rows: number) {
  const tile = matrices && rowsTileFor(matrices, rows, device.limits);
  if (matrices === undefined || tile === undefined)
    throw new RangeError('This device multiplies no matrices of few rows.');
  return { tile, constants: rowsConstants(matrices, tile) };
}

/** @internal */
export function rowsConstants({ M, N, K, subgroupSize }: MatrixProfile, tile: RowsTile) {
  return {
    COLUMN_MATRICES: FORM.columns,
    DEPTH: tile.depth,
    MATRIX_K: K,
    MATRIX_M: M,
    MATRIX_N: N,
    OTHER_AHEAD: tile.ahead.other,
    OWN_AHEAD: tile.ahead.own,
    PADDING: FORM.padding,
    ROW_MATRICES: tile.rowMatrices,
    SUBGROUP: subgroupSize,
    SUBGROUPS: FORM.subgroups,
  };
}
