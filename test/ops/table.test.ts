/** The table of ops holds every op, and every op is held to what it says of itself. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ops } from '../../src/ops/index.ts';

const textOf = (folder: string) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(`${folder}/${name}`, 'utf8'))
    .join('\n');

describe('the table of ops', () => {
  const names = Object.keys(ops).sort();

  it('holds every op that a file of src/ops defines', () => {
    const defined = [...textOf('src/ops').matchAll(/^export const (\w+): Op</gm)].map(([, name]) => name);
    expect(defined.sort()).toEqual(names);
  });

  it('holds none that no test compares with its reference in f64', () => {
    const tests = textOf('test/ops');
    expect(names.filter((name) => !new RegExp(`op: ${name}\\b|${name}\\.reference\\(`).test(tests))).toEqual(
      [],
    );
  });

  it('has a name for each, which profiles and overflow reports show', () => {
    expect(new Set(Object.values(ops).map(({ name }) => name)).size).toBe(names.length);
  });
});
