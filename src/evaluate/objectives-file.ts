/** `prefgrad objectives --evaluate IN.json --out OUT.jsonl`: one line per case, in order. */
import { InputError } from '../errors.ts';
import { readJson } from '../formats/json-file.ts';
import { Gpu } from '../gpu/device.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { type CasePair, type CaseRequest, evaluateCase } from './objective-cases.ts';

export interface EvaluateObjectivesOptions {
  readonly input: string;
  readonly out: string;
  readonly adapter?: string;
}

/** @throws InputError when the file is not in the golden format or names an unknown objective or setting. */
export async function evaluateObjectivesFile(
  runtime: Runtime,
  options: EvaluateObjectivesOptions,
): Promise<void> {
  const { input, out, adapter } = options;
  const file = await readJson(runtime.files, input);
  const pairs = (file.batch as { pairs?: unknown } | undefined)?.pairs;
  if (!Array.isArray(pairs) || !Array.isArray(file.cases)) {
    throw new InputError(`${input}: expected {"batch": {"pairs": [...]}, "cases": [...]}.`);
  }
  const gpu = await Gpu.open(runtime, { adapter });
  try {
    const lines: string[] = [];
    for (const [i, request] of (file.cases as CaseRequest[]).entries()) {
      if (typeof request.name !== 'string') throw new InputError(`${input}: case ${i + 1} has no name.`);
      const result = await evaluateCase(gpu, pairs as CasePair[], {
        name: request.name,
        hp: request.hp ?? {},
      });
      lines.push(`${JSON.stringify(result)}\n`);
    }
    const sink = await runtime.files.create(out);
    await sink.write(lines.join(''));
    await sink.close();
  } finally {
    gpu.close();
  }
}
