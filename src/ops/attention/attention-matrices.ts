/** Which attention runs on tensor cores, and the sizes of its kernels (attention_matrix_tile.wgsl). */
import type { Gpu } from '../../gpu/device.ts';
import type { MatrixProfile } from '../../gpu/profile.ts';

/** Columns of a tile of scores, and the subgroups of a workgroup, each with one matrix of rows. */
const TILE = { columns: 32, subgroups: 4 } as const;

/** Elements that pad a row of 16-bit numbers, and one of f32. */
const PADDING = { half: 8, float: 4 } as const;

/** Whether kernels with heads of this length fit the device's matrices and its shared memory. */
export function fitsMatrices({ profile: { matrices }, device }: Gpu, headDim: number): boolean {
  if (matrices === undefined) return false;
  const { M, N, K, subgroupSize } = matrices;
  return (
    headDim % K === 0 &&
    headDim % N === 0 &&
    subgroupSize % M === 0 &&
    TILE.columns % (4 * (subgroupSize / M)) === 0 &&
    sharedBytes(matrices, headDim) <= device.limits.maxComputeWorkgroupStorageSize
  );
}

/** Of the kernel that takes most: gradients of keys and values. */
function sharedBytes({ M, K }: MatrixProfile, headDim: number): number {
  const { columns, subgroups } = TILE;
  const rows = subgroups * M;
  const tile = Math.max(columns * (headDim + PADDING.half), rows * (K + PADDING.half));
  const scores = rows * (columns + PADDING.float);
  const weights = rows * (columns + PADDING.half);
  const flags = subgroups + 1;
  return 2 * tile + 2 * 4 * scores + 2 * 2 * weights + 4 * flags;
}

/** Constants of the kernels, and how many rows a workgroup makes. @throws RangeError where `fitsMatrices` says no */
export function matricesLaunch({ profile: { matrices } }: Gpu, headDim: number) {
  if (matrices === undefined) throw new RangeError('This device multiplies no matrices.');
  const { M, N, K, subgroupSize } = matrices;
  return {
    rows: TILE.subgroups * M,
    constants: {
      HEAD4: headDim / 4,
      MATRIX_M: M,
      MATRIX_N: N,
      MATRIX_K: K,
      SUBGROUP: subgroupSize,
      DEPTH_PARTS: headDim / K,
      WIDTH_PARTS: headDim / N,
    },
  };
}
