/** What adapters with subgroup matrices say of themselves. */
import type { MatrixProfile } from '../../src/gpu/profile.ts';
import type { TileLimits } from '../../src/ops/linear/matrix-tiles.ts';

export const NVIDIA: MatrixProfile = { M: 16, N: 16, K: 16, subgroupSize: 32, block: 4 };
export const APPLE: MatrixProfile = { M: 8, N: 8, K: 8, subgroupSize: 32, block: 4 };

export function limitsOf(kilobytes: number, invocations: number): TileLimits {
  return {
    maxComputeWorkgroupStorageSize: 1024 * kilobytes,
    maxComputeInvocationsPerWorkgroup: invocations,
    maxComputeWorkgroupSizeX: invocations,
  };
}

export const NVIDIA_LIMITS = limitsOf(48, 1024);
