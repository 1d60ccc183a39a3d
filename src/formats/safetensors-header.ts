/** Checks the header of a safetensors file against the size of the file, before a single tensor is read. */
import { InputError, InputErrors } from '../errors.ts';
import { nestingProblem, repeatedKey } from '../json-text.ts';
import { dtypeBytes, type TensorEntry } from './safetensors-dtypes.ts';

/** A tensor and where its bytes lie, counted from the end of the header. */
export interface PlacedEntry extends TensorEntry {
  readonly start: number;
  readonly byteLength: number;
}

/** @throws InputError when `text` is no JSON object */
export function parseHeader(text: string, file: string): Record<string, unknown> {
  const problem = nestingProblem(text);
  if (problem !== undefined) throw new InputError(`${file}: the header is unsound: ${problem}.`);
  try {
    const header: unknown = JSON.parse(text);
    const twice = repeatedKey(text);
    if (twice !== undefined) throw new InputError(`${file}: the tensor ${twice} is there twice.`);
    if (typeof header === 'object' && header !== null && !Array.isArray(header))
      return header as Record<string, unknown>;
  } catch (error) {
    // The message below says it for both other cases.
    if (error instanceof InputError) throw error;
  }
  throw new InputError(`${file}: the header is not a JSON object; this is no safetensors file.`);
}

/**
 * All tensors, in the order of their bytes. The format wants them end to end over the `dataBytes` behind the header.
 * @throws InputErrors naming every tensor that is unsound
 */
export function checkEntries(
  header: Record<string, unknown>,
  file: string,
  dataBytes: number,
): Map<string, PlacedEntry> {
  const problems: string[] = [];
  const entries: PlacedEntry[] = [];
  for (const [name, raw] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const entry = checkEntry(name, raw);
    if (typeof entry === 'string') problems.push(`${name}: ${entry}`);
    else entries.push(entry);
  }
  // Where some entries are unreadable, holes between the others say nothing.
  if (problems.length === 0) problems.push(...checkPlaces(entries, dataBytes));
  if (problems.length > 0) throw new InputErrors(`${file} is not a sound safetensors file:`, problems);
  return new Map(entries.map((e) => [e.name, e]));
}

/** Sorts `entries` by their place and says what is wrong with it. */
function checkPlaces(entries: PlacedEntry[], dataBytes: number): string[] {
  const problems: string[] = [];
  entries.sort((a, b) => a.start - b.start || a.byteLength - b.byteLength);
  let end = 0;
  for (const { name, start, byteLength } of entries) {
    if (start < end)
      problems.push(`${name}: begins at byte ${start}, inside the tensor before it, which ends at ${end}`);
    if (start > end) problems.push(`${name}: begins at byte ${start}, leaving a hole after byte ${end}`);
    end = Math.max(end, start + byteLength);
  }
  if (end > dataBytes)
    problems.push(`the tensors need ${end} bytes, but the file holds ${dataBytes}: it is truncated`);
  if (end < dataBytes && problems.length === 0)
    problems.push(
      `the tensors need ${end} bytes, but the file holds ${dataBytes}: there is something behind them`,
    );
  return problems;
}

function checkEntry(name: string, raw: unknown): PlacedEntry | string {
  if (typeof raw !== 'object' || raw === null) return 'its header entry is not an object';
  const { dtype, shape, data_offsets: offsets } = raw as Record<string, unknown>;
  const size = typeof dtype === 'string' ? dtypeBytes(dtype) : undefined;
  if (typeof dtype !== 'string' || size === undefined) return `unknown dtype ${shown(dtype)}`;
  if (!isSizes(shape)) return `bad shape ${shown(shape)}`;
  if (!isSizes(offsets) || offsets.length !== 2) return `bad data_offsets ${shown(offsets)}`;
  const [start, end] = offsets;
  const expected = shape.reduce((n, d) => n * d, size);
  if (end - start !== expected)
    return `${dtype} of shape [${shape}] takes ${expected} bytes, but data_offsets give ${end - start}`;
  return { name, dtype, shape, start, byteLength: expected };
}

function shown(value: unknown): string {
  return value === undefined ? '(missing)' : JSON.stringify(value).slice(0, 60);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}
