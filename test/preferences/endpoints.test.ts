/** What commands make of endpoints that are slow, broken, silent or beyond the budget. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { completionBody, type LlmCall } from '../support/llm-server.ts';
import { cli } from '../support/run-cli.ts';
import { commandFolder, goodEditor, lastMessage } from './command-folder.ts';

const { path, write, readRows, endpoint, to } = commandFolder();

describe('an endpoint', () => {
  it('that fails for some rows: these are listed and tried again, the others are kept', async () => {
    let isBroken = true;
    const server = await endpoint((call, response, count) => {
      if (!isBroken || !/cat [25]/.test(lastMessage(call))) return goodEditor(call, response, count);
      response.writeHead(400).end('{"error": {"message": "no room for this"}}');
      return undefined;
    });
    const args = ['bridge', '--rows', path('pairs.jsonl'), '--out', path('broken.jsonl'), ...to(server)];
    const first = await cli(...args);
    expect(first.code).toBe(1);
    expect(first.stderr).toContain('6 rows; 2 failed (2 the endpoint failed)');
    expect(first.stderr).toContain('Failed rows are tried again by the same command with --resume.');
    expect(readRows('broken.jsonl.dropped.jsonl')[0]).toMatchObject({ index: 2, kind: 'failed' });
    expect(JSON.stringify(readRows('broken.jsonl.dropped.jsonl'))).toContain('no room for this');
    isBroken = false;
    const second = await cli(...args, '--resume');
    expect(second.code).toBe(0);
    expect(server.calls).toHaveLength(10);
    expect(readRows('broken.jsonl').map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(readRows('broken.jsonl.dropped.jsonl')).toEqual([]);
  });

  it('that fails in every way: nothing is lost, and each failure is told', async () => {
    const html = '<html>Bad gateway';
    /** By the number of the row: what it does to the request; other rows are answered. */
    const faults: ((call: LlmCall, response: ServerResponse) => void)[] = [
      () => {},
      (_, response) => void response.writeHead(500).end(html),
      (_, response) => void response.end(html),
      (call, response) => {
        response.write(completionBody(call.path, 'half').slice(0, 30));
        setImmediate(() => response.destroy());
      },
      (call, response) => void response.end(completionBody(call.path, '')),
    ];
    let isBroken = true;
    const server = await endpoint((call, response, count) => {
      const fault = faults[Number(/cat (\d)/.exec(lastMessage(call))?.[1])];
      if (!isBroken || fault === undefined) return goodEditor(call, response, count);
      fault(call, response);
      return undefined;
    });
    write(
      'faulty.yaml',
      `base_url: ${server.url}\nmodel: m\ntimeout_seconds: 0.5\nmax_retries: 1\nmax_retry_seconds: 0.05\n`,
    );
    const bridge = (out: string, ...more: string[]) =>
      cli(
        ...['bridge', '--rows', path('pairs.jsonl'), '--endpoint', path('faulty.yaml')],
        ...['--cache', path('faulty-cache'), '--out', path(out), ...more],
      );
    const first = await bridge('faulty.jsonl');
    expect(first.code).toBe(1);
    expect(first.stderr).toContain('3 rows; 5 failed (5 the endpoint failed)');
    expect(readRows('faulty.jsonl').map(({ index }) => index)).toEqual([5, 6, 7]);
    const failed = readRows('faulty.jsonl.dropped.jsonl');
    const said = ['no answer within 0.5 s', 'HTTP 500: ', 'is not JSON', '', 'text is empty'];
    expect(failed.map(({ index, kind, message }) => [index, kind, message])).toEqual(
      said.map((part, index) => [index, 'failed', expect.stringContaining(part)]),
    );
    for (const { attempts } of failed) expect(attempts).toHaveLength(2);
    isBroken = false;
    expect((await bridge('faulty.jsonl', '--resume')).code).toBe(0);
    expect((await bridge('sound.jsonl')).code).toBe(0);
    expect(readFileSync(path('faulty.jsonl'), 'utf8')).toBe(readFileSync(path('sound.jsonl'), 'utf8'));
    expect(readRows('faulty.jsonl')).toHaveLength(8);
  });

  it('costs no more than it may, and nothing twice', async () => {
    const server = await endpoint(goodEditor);
    write(
      'gpt.yaml',
      `base_url: ${server.url}\nmodel: m\nconcurrency: 1\nprices: {input: 1000, output: 10000}\n`,
    );
    const args = ['bridge', '--rows', path('pairs.jsonl'), '--out', path('cheap.jsonl')];
    const file = ['--endpoint', path('gpt.yaml'), '--cache', path('cheap-cache'), '--max-tokens', '10'];
    const plan = await cli(...args, ...file, '--dry-run');
    expect(plan.stdout).toMatch(/8 rows\. 8 requests.*at most [\d.]+ USD\. Nothing was sent\./);
    expect(server.calls).toHaveLength(0);
    expect(existsSync(path('cheap.jsonl'))).toBe(false);
    const poor = await cli(...args, ...file, '--max-cost', '0.75');
    expect(poor.code).toBe(1);
    expect(poor.stderr).toMatch(/limit of 0\.75 USD; [\d.]+ are spent/);
    const asked = server.calls.length;
    expect(asked).toBeGreaterThan(0);
    expect(asked).toBeLessThan(8);
    expect(readRows('cheap.jsonl')).toHaveLength(asked);
    const poorer = await cli(...args, ...file, '--max-cost', '0.75', '--resume');
    expect(poorer.code).toBe(1);
    expect(poorer.stderr).toContain(`${(asked * 0.06).toFixed(4)} are spent`);
    expect(server.calls).toHaveLength(asked);
    const rest = await cli(...args, ...file, '--resume');
    expect(rest.code).toBe(0);
    expect(server.calls).toHaveLength(8);
    expect(rest.stderr).toContain('; 80 + 40 tokens, 0.4800 USD with the runs before it');
    expect(JSON.parse(readFileSync(path('cheap.jsonl.report.json'), 'utf8')).usage).toEqual({
      prompt_tokens: 80,
      completion_tokens: 40,
      cost: 0.48,
    });
    rmSync(path('cheap.jsonl'));
    rmSync(path('cheap.jsonl.settings.json'));
    const again = await cli(...args, ...file);
    expect(again.stderr).toContain('0 requests, 8 from the cache, 0 tries again; 0 + 0 tokens, 0.0000 USD');
    expect(server.calls).toHaveLength(8);
  });

  it.each([
    [['--endpoint', 'http://127.0.0.1:9/v1'], 'give --endpoint-model NAME'],
    [[], 'Give --endpoint URL with --endpoint-model NAME'],
    [
      ['--endpoint', 'http://127.0.0.1:9/v1', '--endpoint-model', 'm', '--max-cost', '1'],
      '--max-cost needs prices',
    ],
  ])('with %j is wrong input', async (args, message) => {
    const { code, stderr } = await cli(
      'weigh',
      '--rows',
      path('pairs.jsonl'),
      '--out',
      path('x.jsonl'),
      ...args,
    );
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});
