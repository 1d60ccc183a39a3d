/** `mpirun prefgrad doctor`: which device each rank of the job takes. */
import { InputError } from '../errors.ts';
import { devicesOfRanks, sharedCard } from '../runtime/rank-device.ts';
import type { DeviceChoice, Runtime } from '../runtime/runtime.ts';

/** @throws InputError where two ranks would compute on one card */
export async function runRankDoctor(
  runtime: Runtime,
  write: (text: string) => void,
  choice: DeviceChoice & { readonly json?: boolean },
): Promise<number> {
  const { device, backend, json } = choice;
  const devices = await devicesOfRanks(runtime, { device, backend });
  const lines = devices.map(
    ({ name, host, cards }, rank) =>
      `Rank ${rank}: ${name} on ${host}${cards.length === 0 ? '' : `, may open ${cards.join(', ')}`}\n`,
  );
  write(json ? `${JSON.stringify(devices, null, 2)}\n` : lines.join(''));
  const problem = sharedCard(devices);
  if (problem !== undefined) throw new InputError(problem);
  return 0;
}
