/** What tests of commands share: a folder of their own, an endpoint that answers as the test wants, rows and editors. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach } from 'vitest';
import { type LlmCall, type LlmServer, llmServer } from '../support/llm-server.ts';

export type Answer = (call: LlmCall, response: ServerResponse, count: number) => string | undefined;

/** Names and what they like; yw is good, yl has one wrong word. */
export const PAIRS = Array.from({ length: 8 }, (_, n) => ({
  prompt: `What does cat ${n} like?`,
  chosen: `Fish is liked by cat number ${n}, as all know.`,
  rejected: `The cat with the number ${n} likes stones more than all the world.`,
}));

export const improved = (text: string) => text.replace('stones', 'fish');

export const lastMessage = ({ body }: LlmCall) =>
  (body.messages as { content: string }[] | undefined)?.at(-1)?.content ?? '';

/** An editor that does what it should. */
export const goodEditor: Answer = (call) => {
  const answer = lastMessage(call).split("# Student's solution\n")[1] ?? '';
  return `Here it is.\n<edited>\n${improved(answer.trim())}\n</edited>`;
};

/** A model that goes on with a word per seed; without one, always the same. */
export const sampler: Answer = ({ body }) =>
  ` ${['likes', 'sees', 'eats', 'has'][Number(body.seed ?? 0) % 4]} fish.`;

/** A judge that takes one word of each answer for the important one. */
export const weigher: Answer = (call) => {
  const word = lastMessage(call).includes('Worse answer') ? 'Fish' : 'stones';
  return `\`\`\`json\n[{"text": "${word}", "score": 3}]\n\`\`\``;
};

/** A folder with PAIRS in pairs.jsonl, and endpoints that close after each test. Call it once in a test file. */
export function commandFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'prefgrad-commands-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const servers: LlmServer[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
  });
  let caches = 0;

  const path = (name: string) => join(folder, name);
  const write = (name: string, text: string) => writeFileSync(path(name), text);
  const writeRows = (name: string, rows: readonly unknown[]) =>
    write(name, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  writeRows('pairs.jsonl', PAIRS);
  return {
    path,
    write,
    writeRows,
    readRows: (name: string) =>
      readFileSync(path(name), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    async endpoint(answer: Answer): Promise<LlmServer> {
      const server = await llmServer(answer);
      servers.push(server);
      return server;
    },
    /** Options of an endpoint, with a cache of its own. */
    to: (server: LlmServer, cache = `cache-${caches++}`) =>
      ['--endpoint', server.url, '--endpoint-model', 'm', '--cache', path(cache)] as const,
  };
}

export function lineCount(file: string): number {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0;
}
