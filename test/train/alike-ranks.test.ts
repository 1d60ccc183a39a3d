/** Ranks that compute on unlike devices are refused before anything is trained. */
import { expect, it } from 'vitest';
import { InputError } from '../../src/errors.ts';
import { ONE_RANK } from '../../src/runtime/ranks.ts';
import { checkAlikeRanks } from '../../src/train/alike-ranks.ts';
import { testGpu } from '../support/gpu.ts';

/** Two ranks: this one with kernels of the one kind, and another with those of the other. */
async function together(own: 'cpu' | 'gpu', other: 'cpu' | 'gpu'): Promise<void> {
  const gpu = await testGpu();
  const said = (rank: number, kernels: string) => ({
    rank,
    host: `host-${rank}`,
    deviceName: kernels,
    kernels,
  });
  const allGather = async () =>
    [said(0, own), said(1, other)].map((value) => new TextEncoder().encode(JSON.stringify({ value })));
  const ranks = { ...ONE_RANK, size: 2, allGather };
  await checkAlikeRanks({
    profile: { ...gpu.profile, kernels: own },
    deviceName: own,
    runtime: { ...gpu.runtime, ranks },
  });
}

it('GPUs with GPUs and CPUs with CPUs may train', async () => {
  await together('gpu', 'gpu');
  await together('cpu', 'cpu');
});

it.each([
  ['gpu', 'cpu', 'Rank 0 computes on a GPU (gpu) and rank 1 on a CPU (cpu on host-1).'],
  ['cpu', 'gpu', 'Rank 1 computes on a GPU (gpu) and rank 0 on a CPU (cpu on host-0).'],
] as const)('a %s with a %s may not, and the ranks are named', async (own, other, message) => {
  const error = await together(own, other).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(InputError);
  expect(String(error)).toContain(message);
});
