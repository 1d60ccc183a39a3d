/** JSON files with an object on top. */
import { InputError } from '../errors.ts';
import { nestingProblem } from '../json-text.ts';
import type { FileSystem } from '../runtime/runtime.ts';

/** Reads a JSON object. @throws InputError naming the file */
export async function readJson(files: FileSystem, path: string): Promise<Record<string, unknown>> {
  return parseJsonObject(await files.readText(path), path);
}

/** @param path - for messages */
export function parseJsonObject(text: string, path: string): Record<string, unknown> {
  const problem = nestingProblem(text);
  if (problem !== undefined) throw new InputError(`${path}: ${problem}.`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InputError(`${path}: not JSON: ${error instanceof Error ? error.message : error}`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new InputError(`${path}: expected a JSON object.`);
}
