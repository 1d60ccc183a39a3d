/** `prefgrad objectives --evaluate IN.json --out OUT.jsonl`. */
import { writeAtomically } from '../formats/atomic-file.ts';
import { Gpu } from '../gpu/device.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { objectiveOfCase } from './compute.ts';
import { parseCaseFile } from './file.ts';
import { evaluateCase } from './result.ts';

export interface ObjectivesFileOptions {
  readonly input: string;
  readonly out: string;
  readonly device?: string | undefined;
}

/**
 * Computes every case of a file and writes one JSON line each, in order.
 * @throws InputError for a wrong file, an unknown method or a setting out of range, before the device is opened. `out`
 * appears when it is complete.
 */
export async function evaluateObjectivesFile(
  runtime: Runtime,
  { input, out, device }: ObjectivesFileOptions,
): Promise<void> {
  const { pairs, cases } = parseCaseFile(await runtime.files.readText(input), input);
  for (const request of cases) objectiveOfCase(request);
  const gpu = await Gpu.open(runtime, { device });
  try {
    await writeAtomically(runtime.files, out, async (write) => {
      for (const request of cases)
        await write(`${JSON.stringify(await evaluateCase(gpu, pairs, request))}\n`);
    });
  } finally {
    gpu.close();
  }
}
