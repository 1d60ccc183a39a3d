/** Reads what run-record.ts wrote: config.yaml and run.json of an output directory. */
import { YAMLParseError } from 'yaml';
import { z } from 'zod';
import { InputError, InputErrors } from '../errors.ts';
import { readJson } from '../formats/json-file.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import { problemsOf } from '../schema-problems.ts';
import { parseYaml } from '../yaml-values.ts';

/** JSON has no NaN: it is written as null. */
const metrics = () => z.record(z.string(), z.number().nullable()).nullable();

const outcomeSchema = z.object({
  outcome: z.enum(['finished', 'interrupted']).optional(),
  global_step: z.number().int().min(0),
  wall_time_seconds: z.number(),
  after: metrics().optional(),
  samples: z.array(z.object({ prompt: z.string(), before: z.string(), after: z.string() })).default([]),
});

export type RunOutcome = Readonly<z.output<typeof outcomeSchema>>;

/** Reads OUTPUT_DIR/run.json; undefined for a run that has not ended. @throws InputErrors for one that is damaged */
export async function readOutcome(files: FileSystem, directory: string): Promise<RunOutcome | undefined> {
  const path = `${directory}/run.json`;
  if (!(await files.exists(path))) return undefined;
  const raw = await readJson(files, path);
  const { data, error } = outcomeSchema.safeParse(raw);
  if (data !== undefined) return data;
  const problems = problemsOf(error, outcomeSchema, raw).map((p) => `${p.path.join('.')}: ${p.message}`);
  throw new InputErrors(`${path} is damaged:`, problems);
}

/** Reads OUTPUT_DIR/config.yaml, as it was resolved then, and its head. @throws InputError for one that is damaged */
export async function readConfig(
  files: FileSystem,
  directory: string,
): Promise<{ readonly device: string; readonly config: Readonly<Record<string, unknown>> }> {
  const path = `${directory}/config.yaml`;
  const text = await files.readText(path);
  try {
    const config = z.record(z.string(), z.unknown()).safeParse(parseYaml(text)).data;
    if (config === undefined) throw new InputError(`${path} is damaged: it has no keys.`);
    return { device: /^# device: (.+)$/m.exec(text)?.[1] ?? '', config };
  } catch (error) {
    if (!(error instanceof YAMLParseError)) throw error;
    throw new InputError(`${path} is damaged: ${error.message.split('\n')[0]}`);
  }
}
