/** Every form in the table of docs/data.md is recognised, and gives the prompt and the answers that the table says. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Turn } from '../../src/data/conversations.ts';
import { DATA_FORMATS } from '../../src/data/formats.ts';
import type { JsonObject } from '../../src/data/json.ts';
import { readRow } from '../../src/data/rows.ts';

/** Cells of the table of forms, without the marks of code. */
const table = readFileSync(new URL('../../docs/data.md', import.meta.url), 'utf8')
  .split('## Forms of rows')[1]
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.slice(2, -2).split(' | '));

const code = (cell: string) => [...cell.matchAll(/`([^`]*)`/g)].map(([, text]) => text);
const shown = (part: string | readonly Turn[]) =>
  typeof part === 'string' ? part : part.map(({ role, content }) => `${role}: ${content}`).join(' / ');

describe('forms of rows', () => {
  it.each(table)('%s %s', (form, row, prompt, answers) => {
    const value = JSON.parse(code(row)[0]) as JsonObject;
    const raw = { file: 'd', line: 1, value };
    const [format] = code(form);
    for (const setting of ['auto', format] as const) {
      const expects = format === 'sft' ? 'chosen' : 'either';
      const read = readRow(raw, { format: setting as 'auto', expects });
      expect(read.format).toBe(format);
      expect(shown(read.texts.prompt)).toBe(code(prompt)[0]);
      expect(read.texts.answers.map(shown)).toEqual(code(answers));
    }
  });

  it('are all in the table', () => {
    const named = new Set(table.map(([form]) => code(form)[0]));
    expect([...named].sort()).toEqual(DATA_FORMATS.filter((format) => format !== 'auto').sort());
  });
});
