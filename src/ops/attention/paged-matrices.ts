/** Attention of a decoding step on tensor cores: when, and the sizes of attention_paged_matrices.wgsl. */
import type { MatrixProfile } from '../../gpu/profile.ts';
import type { Recorder } from '../../gpu/program.ts';
import { decodesOnMatrices } from '../launch.ts';
import type { AttentionShape } from './attention.ts';

/** Elements that pad a row of 16-bit numbers, and one of f32. */
const PADDING = { half: 8, float: 4 } as const;

/** The subgroups of a workgroup, each with a matrix of keys: the most whose tile fits; undefined where none does. */
export function pagedSubgroups(
  { M, N, K, subgroupSize }: MatrixProfile,
  headDim: number,
  { maxComputeWorkgroupStorageSize: storage }: Pick<GPUSupportedLimits, 'maxComputeWorkgroupStorageSize'>,
): number | undefined {
  if (headDim % K !== 0 || headDim % N !== 0 || subgroupSize % M !== 0) return undefined;
  return [4, 2].find((subgroups) => {
    const keys = subgroups * N;
    const parts = (subgroups * subgroupSize) / M;
    const sums = Math.ceil(headDim / keys) * keys;
    const halves = (M + keys) * (headDim + PADDING.half) + M * (keys + PADDING.half);
    const floats = M * (keys + PADDING.float) + M * (sums + PADDING.float);
    return (
      keys % K === 0 &&
      keys % (4 * parts) === 0 &&
      parts <= subgroupSize &&
      2 * halves + 4 * floats <= storage
    );
  });
}

/** Constants of the kernel and its workgroups for a row; undefined where another kernel is to be taken. */
export function pagedMatrices(recorder: Recorder, { heads, kvHeads, headDim }: AttentionShape) {
  const { profile, device } = recorder.gpu;
  const { matrices } = profile;
  if (!decodesOnMatrices(recorder) || matrices === undefined) return undefined;
  const subgroups = pagedSubgroups(matrices, headDim, device.limits);
  if (subgroups === undefined) return undefined;
  const { M, N, K, subgroupSize } = matrices;
  const group = heads / kvHeads;
  return {
    units: kvHeads * Math.ceil(group / M),
    constants: {
      GROUP: group,
      HEAD4: headDim / 4,
      MATRIX_K: K,
      MATRIX_M: M,
      MATRIX_N: N,
      SUBGROUP: subgroupSize,
      SUBGROUPS: subgroups,
    },
  };
}
