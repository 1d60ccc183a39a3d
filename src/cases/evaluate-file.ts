/** `prefgrad objectives --evaluate IN.json --out OUT.jsonl`. */
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
  const partial = `${out}.partial`;
  try {
    const sink = await runtime.files.create(partial);
    for (const request of cases) {
      await sink.write(`${JSON.stringify(await evaluateCase(gpu, pairs, request))}\n`);
    }
    await sink.close();
    await runtime.files.rename(partial, out);
  } catch (error) {
    await runtime.files.remove(partial);
    throw error;
  } finally {
    gpu.close();
  }
}
