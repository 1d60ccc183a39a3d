/** What the devices of a job's ranks must have in common. */
import { InputError } from '../errors.ts';
import type { Gpu } from '../gpu/device.ts';
import { gatherValues } from '../runtime/ranks.ts';

/**
 * Ranks add up gradients as they lie in memory, which is not the same for the kernels of GPUs and of CPU adapters.
 * @throws InputError where some ranks take the ones and some the others
 */
export async function checkAlikeRanks({
  profile,
  deviceName,
  runtime: { ranks },
}: Pick<Gpu, 'profile' | 'deviceName' | 'runtime'>): Promise<void> {
  const { rank } = ranks;
  const all = await gatherValues(ranks, {
    rank,
    host: ranks.place.host,
    deviceName,
    kernels: profile.kernels,
  });
  const other = all.find(({ kernels }) => kernels !== all[0].kernels);
  if (other === undefined) return;
  const [gpu, cpu] = other.kernels === 'cpu' ? [all[0], other] : [other, all[0]];
  throw new InputError(
    `Rank ${gpu.rank} computes on a GPU (${gpu.deviceName}) and rank ${cpu.rank} on a CPU (${cpu.deviceName} on ${cpu.host}). Give every ` +
      'rank a GPU, or name a CPU adapter with --device.',
  );
}
