/** Questions answered by the small trained model through the command line. */

import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runCli } from '../../src/cli/program.ts';
import { temporaryDirectory } from '../runtime/temporary.ts';
import { testRuntime } from '../support/runtime.ts';

it('a model answers the questions of a file', async () => {
  const directory = await temporaryDirectory();
  const path = (name: string) => join(directory, name);
  writeFileSync(
    path('task.yaml'),
    'prompt: "{problem}"\nstops: ["."]\nmax_new_tokens: 24\nextraction: {pattern: "named (\\\\w+)"}\n',
  );
  writeFileSync(path('q.jsonl'), '{"problem": "Once upon a time", "answer": "Lily"}\n');
  let stdout = '';
  const args = ['--task', 'custom', '--task-file', path('task.yaml'), '--model', 'examples/stories260K'];
  const code = await runCli(['evaluate', ...args, '--data', path('q.jsonl'), '--out', path('o.jsonl')], {
    out: (text) => {
      stdout += text;
    },
    err: () => {},
    terminal: undefined,
    runtime: async () => testRuntime(),
    exitCode: 0,
  });
  expect(code).toBe(0);
  const line = JSON.parse(await readFile(path('o.jsonl'), 'utf8'));
  expect(line).toMatchObject({ problem: 'Once upon a time', answer: 'Lily', correct: true, tokens: 24 });
  expect(JSON.parse(stdout)).toMatchObject({ accuracy: 1, tokens_per_answer: 24 });
});
