/** Every command line of docs/pipelines.md names a command and options that exist, and files that come with prefgrad. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { buildProgram } from '../../src/cli/program.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';

const page = readFileSync('docs/pipelines.md', 'utf8');
const blocks = [...page.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, text]) => text.replaceAll('\\\n', ' '));
const lines = blocks.flatMap((text) => text.split('\n')).filter((line) => line.startsWith('prefgrad '));
const program = buildProgram({
  out: () => {},
  err: () => {},
  terminal: undefined,
  runtime: async () => nodeRuntime(),
  exitCode: 0,
});

describe('docs/pipelines.md', () => {
  it('shows every command of the pipelines', () => {
    const shown = new Set(lines.map((line) => line.split(' ')[1]));
    for (const name of ['rollout', 'rate', 'own-output', 'continue', 'bridge', 'weigh'])
      expect(shown).toContain(name);
  });

  it.each(lines)('%s', (line) => {
    const [, name, ...words] = line.split(/\s+/);
    const command = program.commands.find((known) => known.name() === name);
    const known = command?.options.map(({ long }) => long) ?? [];
    for (const word of words.filter((text) => text.startsWith('--'))) expect(known).toContain(word);
    for (const [file] of line.matchAll(/(?<=[\s:])examples\/[\w./-]+/g))
      expect(existsSync(file), file).toBe(true);
    const required = command?.options.filter(({ mandatory }) => mandatory).map(({ long }) => long) ?? [];
    expect(words).toEqual(expect.arrayContaining(required));
  });
});
