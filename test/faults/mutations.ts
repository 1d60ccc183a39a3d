/** Seeded damage for whatever a user gives: JSON values, texts and bytes. fast-check shrinks what it finds. */
import fc from 'fast-check';
import { expect } from 'vitest';
import { InputError } from '../../src/errors.ts';

const HOSTILE: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  0.5,
  1e6,
  1e300,
  2 ** 31,
  2 ** 53,
  '',
  'x',
  '../up',
  'nul\0',
  '\ud800',
  'a'.repeat(1000),
  [],
  [null],
  [[1]],
  {},
  { type: 'Sequence' },
  { constructor: 1 },
];
const KEYS = ['constructor', 'toString', 'hasOwnProperty', 'length', '', 'x'];

type Path = readonly (string | number)[];

/** Paths of all values in `value`, at most `most` of them. */
function pathsOf(value: unknown, most = 400): Path[] {
  const paths: Path[] = [[]];
  for (const path of paths) {
    const inner = path.reduce<unknown>((v, key) => (v as Record<string, unknown>)[key], value);
    if (typeof inner !== 'object' || inner === null) continue;
    for (const key of Object.keys(inner).slice(0, 60)) {
      if (paths.length >= most) return paths;
      paths.push([...path, Array.isArray(inner) ? Number(key) : key]);
    }
  }
  return paths;
}

/** A copy with another value at `path`; undefined takes it away. */
function replaced(value: unknown, path: Path, by: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return by;
  const inner = (value as Record<string | number, unknown>)[key];
  const next = replaced(inner, rest, by);
  if (Array.isArray(value))
    return value.flatMap((v, i) => (i !== key ? [v] : next === undefined ? [] : [next]));
  const { [key]: _, ...others } = value as Record<string | number, unknown>;
  return next === undefined ? others : { ...others, [key]: next };
}

/** `value` with one to three of its parts replaced, taken away, or given a key more. */
export function damagedJson(value: unknown): fc.Arbitrary<unknown> {
  const change = fc.record({
    place: fc.nat(),
    by: fc.oneof(fc.constant(undefined), fc.constantFrom(...HOSTILE)),
    key: fc.option(fc.constantFrom(...KEYS), { freq: 4, nil: undefined }),
  });
  return fc.array(change, { minLength: 1, maxLength: 3 }).map((changes) =>
    changes.reduce<unknown>((current, { place, by, key }) => {
      const paths = pathsOf(current);
      const path = paths[place % paths.length];
      const inner = path.reduce<unknown>((v, k) => (v as Record<string, unknown>)[k], current);
      if (key === undefined || typeof inner !== 'object' || inner === null || Array.isArray(inner))
        return replaced(current, path, by);
      return replaced(current, path, { ...inner, [key]: by });
    }, value),
  );
}

/** `text` with pieces put in, taken out or doubled. */
export function damagedText(text: string, pieces: readonly string[]): fc.Arbitrary<string> {
  const change = fc.record({
    at: fc.nat(text.length),
    cut: fc.nat(8),
    put: fc.constantFrom('', '\0', '\ufeff', '"', '{', '}', '[', '\\u', ':', ...pieces),
  });
  return fc.array(change, { minLength: 1, maxLength: 3 }).map((changes) =>
    changes.reduce((current, { at, cut, put }) => {
      const place = at % (current.length + 1);
      return current.slice(0, place) + put + current.slice(place + cut);
    }, text),
  );
}

/** `bytes` with bits flipped, or cut off. */
export function damagedBytes(bytes: Uint8Array): fc.Arbitrary<Uint8Array<ArrayBuffer>> {
  // Headers are in front; what lies behind is mostly numbers.
  const place = fc.oneof(fc.nat(Math.min(bytes.length, 400) - 1), fc.nat(bytes.length - 1));
  const flips = fc.array(fc.tuple(place, fc.integer({ min: 1, max: 255 })), { maxLength: 3 });
  const length = fc.oneof(fc.constant(bytes.length), fc.nat(bytes.length));
  return fc.tuple(flips, length).map(([changes, end]) => {
    const copy = new Uint8Array(bytes);
    for (const [at, mask] of changes) copy[at] ^= mask;
    return copy.slice(0, end);
  });
}

/** What `action` gives; undefined where it refuses, which must name `file`. Everything else is a failure. */
export async function accepted<T>(file: string, action: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    expect(error.message).toContain(file);
    return undefined;
  }
}
