/**
 * The few checks with which JSON of unknown shape becomes typed values.
 */

import { InputError } from '../errors.ts';
import { nestingProblem } from '../json-text.ts';

/** A JSON object of unknown content. */
export type JsonObject = { [key: string]: unknown };

/** True for JSON objects; false for null, arrays and everything else. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A short name of the type of a JSON value, for messages: 'a string', 'a list', 'null', ... */
export function typeName(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  return `a ${typeof value}`;
}

/** Parses a file that must hold one JSON object. Throws `InputError` naming the file. */
export function parseJsonObject(text: string, name: string): JsonObject {
  const problem = nestingProblem(text);
  if (problem !== undefined) throw new InputError(`${name}: ${problem}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InputError(`${name}: not valid JSON (${reason(error)}); download or write the file again`);
  }
  if (!isObject(value)) throw new InputError(`${name}: expected a JSON object, found ${typeName(value)}`);
  return value;
}

/** The message of whatever was thrown. */
export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
