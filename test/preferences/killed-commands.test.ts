/** Every command that asks an endpoint, killed in the middle. */
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { completionBody } from '../support/llm-server.ts';
import { cli } from '../support/run-cli.ts';
import {
  type Answer,
  commandFolder,
  goodEditor,
  lastMessage,
  lineCount,
  PAIRS,
  sampler,
  weigher,
} from './command-folder.ts';

const { path, writeRows, endpoint, to } = commandFolder();

describe('a process that is killed', () => {
  it('goes on to the same file, whichever command it ran', async () => {
    const all: Answer = (call, response, count) => {
      const text = lastMessage(call);
      if (call.body.messages === undefined) return sampler(call, response, count);
      if (text.includes('copied exactly')) return weigher(call, response, count);
      if (text.includes('double brackets')) return `[[${1 + (text.length % 7)}]]`;
      return goodEditor(call, response, count);
    };
    const slowly = await endpoint((call, response, count) => {
      const answer = all(call, response, count) ?? '';
      setTimeout(() => response.end(completionBody(call.path, answer)), 10);
      return undefined;
    });
    // Enough rows that none is done when the first ones of all are.
    const many = Array.from({ length: 20 }, (_, n) => ({
      ...PAIRS[n % 8],
      prompt: `What does cat ${n} like?`,
    }));
    writeRows('many.jsonl', many);
    writeRows(
      'many-answers.jsonl',
      many.map(({ prompt }, n) => ({
        prompt,
        all_generated_responses: [`a${'b'.repeat(n)}`, 'cd'],
      })),
    );
    const command = (name: string, ...more: string[]) => [name, '--rows', path('many.jsonl'), ...more];
    const commands: Record<string, string[]> = {
      rollout: command('rollout', '--seeds', '13,22'),
      'own-output': command('own-output'),
      continue: command('continue', '--tokenizer', 'examples/stories260K'),
      bridge: command('bridge'),
      weigh: command('weigh'),
      rate: ['rate', '--rows', path('many-answers.jsonl'), '--rater', 'judge:score'],
    };
    mkdirSync(path('killed'));
    const finish = async (name: string, cache: string, out: string, ...more: string[]) => {
      const { code, stderr } = await cli(
        ...commands[name],
        '--out',
        path(out),
        ...to(slowly, cache),
        '--concurrency',
        '64',
        ...more,
      );
      expect(code, stderr).toBe(0);
    };
    const lines = Object.entries(commands).map(([name, args]) => [
      ...args,
      ...['--out', path(`killed/${name}.jsonl`), ...to(slowly, 'killed-cache'), '--concurrency', '2'],
    ]);
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', 'test/preferences/killed-commands.ts', JSON.stringify(lines)],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    const sizes = () => Object.keys(commands).map((name) => lineCount(path(`killed/${name}.jsonl`)));
    while (Math.min(...sizes()) < 3 && child.exitCode === null) await new Promise((r) => setTimeout(r, 20));
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
    expect(child.signalCode).toBe('SIGKILL');
    for (const name of Object.keys(commands)) {
      expect(lineCount(path(`killed/${name}.jsonl`)), name).toBeLessThan(20);
      await finish(name, 'killed-cache', `killed/${name}.jsonl`, '--resume');
      await finish(name, 'killed-cache', `whole-${name}.jsonl`);
      const killed = readFileSync(path(`killed/${name}.jsonl`), 'utf8');
      expect(killed, name).toBe(readFileSync(path(`whole-${name}.jsonl`), 'utf8'));
      expect(lineCount(path(`killed/${name}.jsonl`)), name).toBeGreaterThan(15);
    }
    expect(
      readdirSync(path('killed')).filter((name) => name.endsWith('.lock') || name.endsWith('.tmp')),
    ).toEqual([]);
  });
});
