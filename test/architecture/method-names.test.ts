/** Nobody outside of src/objectives asks which method is in use: what differs between methods, an objective says of itself. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { objectives } from '../../src/objectives/registry.ts';

/** What the page ships and opens with is content, as a recipe is; some forms of rows are called like the method they serve. */
const EXEMPT: readonly string[] = ['web/app/content.ts', join('src', 'data', 'formats.ts')];

const sources = ['src', 'web']
  .flatMap((root) =>
    readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(root, name)),
  )
  .filter((path) => !path.startsWith(join('src', 'objectives')) && !EXEMPT.includes(path));

/** Quoted names of methods, outside of comments. */
function namesIn(source: string, names: readonly string[]): string[] {
  const code = source.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '');
  return names.filter((name) => new RegExp(`(['"\`])${name}\\1`).test(code));
}

describe('names of methods', () => {
  const names = objectives.map(({ name }) => name);

  it('stand in src/objectives alone', () => {
    const found = sources.flatMap((path) =>
      namesIn(readFileSync(path, 'utf8'), names).map((name) => `${path}: ${name}`),
    );
    expect(found).toEqual([]);
  });

  it('would be found in code and are free in comments', () => {
    expect(namesIn("if (name === 'mipo') x();", names)).toEqual(['mipo']);
    expect(namesIn("/** 'mipo' is one. */\n// 'dpo' too\nx();", names)).toEqual([]);
  });
});
