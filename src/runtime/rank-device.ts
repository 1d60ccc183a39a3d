/**
 * Which device each rank takes. Dawn's binding for Node knows devices by name alone and takes the first that matches
 * (src/dawn/node/binding/GPU.cpp), so that of identical cards a process reaches only the first it can see. Each rank must
 * therefore see a card of its own, through a container, a cgroup or Slurm; two ranks on one card are refused.
 */
import { InputError } from '../errors.ts';
import { gatherValues, type Ranks } from './ranks.ts';
import type { DeviceChoice, Runtime } from './runtime.ts';
import { isSoftware, isSoftwareName } from './software-adapter.ts';

/** What a rank runs on. */
export interface RankDevice {
  readonly host: string;
  /** The adapter's name. */
  readonly name: string;
  /** A CPU may be shared. */
  readonly isCpu: boolean;
  /** Cards that the process may open, as `Ranks.place`. */
  readonly cards: readonly string[];
}

/** The runtime whose devices are those of its rank. @param asked as PREFGRAD_DEVICE, where the choice names none */
export function withRankDevices(runtime: Runtime, asked: string | undefined): Runtime {
  const { ranks } = runtime;
  const ownAdapter = async (choice: DeviceChoice = {}) => {
    const wanted = choice.device ?? asked ?? 'auto';
    const device = wanted === 'auto' ? deviceOfRank(await runtime.deviceNames(), ranks.localRank) : wanted;
    return runtime.requestAdapter({ ...choice, device });
  };
  return {
    ...runtime,
    ...(runtime.apart && { apart: { ...runtime.apart, requestAdapter: ownAdapter } }),
    async requestAdapter(choice) {
      const adapter = await ownAdapter(choice);
      const problem = sharedCard(await gatherValues(ranks, describe(adapter, ranks)));
      if (problem !== undefined) throw new InputError(problem);
      return adapter;
    },
  };
}

/** What every rank takes, whether they can all have it or not. */
export async function devicesOfRanks(
  { apart, ranks }: Runtime,
  choice: DeviceChoice = {},
): Promise<RankDevice[]> {
  if (apart === undefined) throw new RangeError('This process is not one of several ranks.');
  return gatherValues(ranks, describe(await apart.requestAdapter(choice), ranks));
}

/**
 * What `device: auto` means for a rank: the only GPU that it sees, which is its own where ranks are isolated; of several that of
 * its place among the ranks of the machine; without a GPU the CPU.
 * @param names of the devices that the process sees
 * @throws InputError when there are more ranks than GPUs
 */
export function deviceOfRank(names: readonly string[], localRank: number): string {
  const gpus = names.filter((name) => !isSoftwareName(name));
  if (gpus.length <= 1) return 'auto';
  if (localRank < gpus.length) return gpus[localRank];
  throw new InputError(
    `There are more ranks on this machine than GPUs: rank ${localRank} of the machine finds ${gpus.length}. ` +
      `Start at most ${gpus.length} ranks here.`,
  );
}

/** @returns what is wrong when two ranks would compute on one card */
export function sharedCard(devices: readonly RankDevice[]): string | undefined {
  for (const [j, b] of devices.entries())
    for (const [i, a] of devices.slice(0, j).entries())
      if (mayBeOneCard(a, b))
        return (
          `Ranks ${i} and ${j} would share a card of ${b.host}: both take ${b.name}, and nothing tells identical cards apart. ` +
          'Let every rank see one card alone, with a container or a cgroup for each, or with srun --gpus-per-task=1; see docs/many-gpus.md.'
        );
  return undefined;
}

/** Cards of one name on one machine are different ones only where the two ranks may open different device nodes. */
function mayBeOneCard(a: RankDevice, b: RankDevice): boolean {
  if (a.isCpu || b.isCpu || a.host !== b.host || a.name !== b.name) return false;
  return a.cards.length === 0 || b.cards.length === 0 || a.cards.some((card) => b.cards.includes(card));
}

function describe({ info }: GPUAdapter, { place }: Ranks): RankDevice {
  const name = [info.vendor, info.architecture, info.device].filter((part) => part !== '').join(' ');
  return { ...place, name, isCpu: isSoftware(info) };
}
