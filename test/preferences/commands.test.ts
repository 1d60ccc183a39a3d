/** The commands as they are typed, against an endpoint that answers as the test wants. */
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { completionBody, type LlmCall, type LlmServer, llmServer } from '../support/llm-server.ts';
import { cli } from '../support/run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-pipelines-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const servers: LlmServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

const path = (name: string) => join(folder, name);
const write = (name: string, text: string) => writeFileSync(path(name), text);
const writeRows = (name: string, rows: readonly unknown[]) =>
  write(name, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
const readRows = (name: string) =>
  readFileSync(path(name), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

type Answer = (call: LlmCall, response: ServerResponse, count: number) => string | undefined;

async function endpoint(answer: Answer): Promise<LlmServer> {
  const server = await llmServer(answer);
  servers.push(server);
  return server;
}

let caches = 0;
/** Options of an endpoint, with a cache of its own. */
const to = (server: LlmServer, cache = `cache-${caches++}`) =>
  ['--endpoint', server.url, '--endpoint-model', 'm', '--cache', path(cache)] as const;

const lastMessage = ({ body }: LlmCall) =>
  (body.messages as { content: string }[] | undefined)?.at(-1)?.content ?? '';

/** Names and what they like; yw is good, yl has one wrong word. */
const PAIRS = Array.from({ length: 8 }, (_, n) => ({
  prompt: `What does cat ${n} like?`,
  chosen: `Fish is liked by cat number ${n}, as all know.`,
  rejected: `The cat with the number ${n} likes stones more than all the world.`,
}));
writeRows('pairs.jsonl', PAIRS);

const improved = (text: string) => text.replace('stones', 'fish');

/** An editor that does what it should. */
const goodEditor: Answer = (call) => {
  const answer = lastMessage(call).split("# Student's solution\n")[1] ?? '';
  return `Here it is.\n<edited>\n${improved(answer.trim())}\n</edited>`;
};

describe('bridge', () => {
  it('keeps x, yw, yl and the edit on every row, so that methods are choices of columns', async () => {
    const server = await endpoint(goodEditor);
    const { code, stderr } = await cli(
      'bridge',
      '--rows',
      path('pairs.jsonl'),
      '--out',
      path('bridged.jsonl'),
      ...to(server),
    );
    expect(stderr).toContain('8 rows');
    expect(code).toBe(0);
    const rows = readRows('bridged.jsonl');
    expect(rows).toHaveLength(8);
    expect(rows[2]).toEqual({
      index: 2,
      ...PAIRS[2],
      chosen_bridged: improved(PAIRS[2].rejected),
      bridge: { edited: true, tries: 1, distance_before: expect.any(Number), distance_after: 1 },
    });
    expect(server.calls[0].body).toMatchObject({ model: 'm', temperature: 0, max_tokens: 2048 });
    expect(lastMessage(server.calls[0])).toContain(`# Reference solution\n${PAIRS[0].chosen}`);
    const settings = JSON.parse(readFileSync(path('bridged.jsonl.settings.json'), 'utf8'));
    expect(settings.editor.prompts).toEqual({ name: 'bridge-qa-maths', version: 1, variant: 'bridge' });
    const report = JSON.parse(readFileSync(path('bridged.jsonl.report.json'), 'utf8'));
    expect(report).toMatchObject({ written: 8, summary: { edited: 8, mean_distance_after: 1 } });
    expect(report.usage_of_this_run).toMatchObject({ requests: 8, promptTokens: 80, completionTokens: 40 });
  });

  it.each([
    ['yw verbatim', (n: number) => PAIRS[n].chosen, 'copy of the other answer'],
    ['yl verbatim', (n: number) => PAIRS[n].rejected, 'unchanged'],
    [
      'an unrelated text',
      () => 'Pour sugar over eggs; bake them until golden brown! Serve warm, perhaps?',
      'unrelated',
    ],
  ])('keeps no edit that is %s, and says why after a second try', async (name, text, reason) => {
    const server = await endpoint((call) => {
      const n = Number(/cat (\d)/.exec(JSON.stringify(call.body.messages))?.[1]);
      return `<edited>${text(n)}</edited>`;
    });
    const out = `${name.replaceAll(' ', '-')}.jsonl`;
    const { code, stderr } = await cli(
      'bridge',
      '--rows',
      path('pairs.jsonl'),
      '--out',
      path(out),
      ...to(server),
    );
    expect(code).toBe(0);
    expect(readRows(out)).toEqual([]);
    expect(stderr).toContain(`0 rows; 8 dropped (8 ${reason})`);
    const dropped = readRows(`${out}.dropped.jsonl`);
    expect(dropped[3]).toMatchObject({
      index: 3,
      line: 4,
      kind: 'dropped',
      reason,
      tries: 2,
      answer: text(3),
    });
    expect(server.calls).toHaveLength(16);
    expect(
      lastMessage(server.calls.filter(({ body }) => (body.messages as unknown[]).length > 2)[0]),
    ).toContain('That answer cannot be used: it ');
  });

  it('takes what the second try gives, and drops what is good enough', async () => {
    const server = await endpoint((call, response, count) => {
      if (JSON.stringify(call.body.messages).includes('cat 5')) return '<verdict>good enough</verdict>';
      const messages = call.body.messages as { content: string }[];
      if (messages.length === 2) return 'I would change the stones.';
      return goodEditor({ ...call, body: { messages: messages.slice(0, 2) } }, response, count);
    });
    const { stderr } = await cli(
      'bridge',
      '--rows',
      path('pairs.jsonl'),
      '--out',
      path('second.jsonl'),
      ...to(server),
    );
    expect(stderr).toContain('7 rows; 1 dropped (1 good enough)');
    expect(readRows('second.jsonl').map(({ bridge }) => (bridge as { tries: number }).tries)).toEqual(
      Array(7).fill(2),
    );
  });

  it('degrades, without reference, in conversations, a share of the rows', async () => {
    const message = (content: string) => [{ role: 'assistant', content }];
    const talk = PAIRS.map(({ prompt, chosen, rejected }) => ({
      prompt: [{ role: 'user', content: prompt }],
      chosen: message(chosen),
      rejected: message(rejected),
    }));
    writeRows('talk.jsonl', talk);
    const server = await endpoint((call) => {
      const text = lastMessage(call);
      expect(text).not.toContain('stones');
      return `<edited>${(text.split('# Answer\n')[1] ?? '').trim().replace('Fish', 'Chalk')}</edited>`;
    });
    const args = ['--prompts', 'instructions', '--degrade', '--without-reference', '--proportion', '0.5'];
    const { code } = await cli(
      'bridge',
      '--rows',
      path('talk.jsonl'),
      '--out',
      path('worse.jsonl'),
      ...args,
      ...to(server),
    );
    expect(code).toBe(0);
    const rows = readRows('worse.jsonl');
    const edited = rows.filter(({ bridge }) => (bridge as { edited: boolean }).edited);
    expect(edited.length).toBe(server.calls.length);
    expect(edited.length).toBeGreaterThan(0);
    expect(edited.length).toBeLessThan(8);
    for (const { index, rejected_degraded, chosen, rejected, bridge } of rows) {
      const pair = PAIRS[Number(index)];
      expect([chosen, rejected]).toEqual([message(pair.chosen), message(pair.rejected)]);
      const isEdited = (bridge as { edited: boolean }).edited;
      expect(rejected_degraded).toEqual(
        message(isEdited ? pair.chosen.replace('Fish', 'Chalk') : pair.rejected),
      );
    }
  });

  it('takes a program as an exact editor', async () => {
    write(
      'exact.mjs',
      `export default ({answer, reference}) => /cat number 3/.test(reference) ? null : answer.replace('stones', 'fish');`,
    );
    const { code, stderr } = await cli(
      ...['bridge', '--rows', path('pairs.jsonl'), '--out', path('exact.jsonl')],
      ...['--editor', `exact:${path('exact.mjs')}`],
    );
    expect(code).toBe(0);
    expect(stderr).toContain('7 rows; 1 dropped (1 good enough)');
    const settings = JSON.parse(readFileSync(path('exact.jsonl.settings.json'), 'utf8'));
    expect(settings.editor).toMatchObject({ kind: 'exact' });
  });

  it('reports the similarity that an endpoint for embeddings sees', async () => {
    const editorAt = await endpoint(goodEditor);
    const embeddings = await endpoint((call, response) => {
      const data = (call.body.input as string[]).map((text, index) => ({
        index,
        embedding: [text.includes('stones') ? 1 : 0, 1],
      }));
      response.end(JSON.stringify({ data }));
      return undefined;
    });
    await cli(
      ...['bridge', '--rows', path('pairs.jsonl'), '--out', path('alike.jsonl'), ...to(editorAt)],
      ...['--embeddings', embeddings.url, '--embeddings-model', 'e'],
    );
    const report = JSON.parse(readFileSync(path('alike.jsonl.report.json'), 'utf8'));
    expect(report.summary.mean_similarity_chosen).toBeCloseTo(1, 12);
    expect(report.summary.mean_similarity_rejected).toBeCloseTo(Math.SQRT1_2, 12);
    expect(JSON.parse(readFileSync(path('alike.jsonl.settings.json'), 'utf8')).similarity).toBe(
      'cosine of e embeddings',
    );
  });
});

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

/** A model that goes on with a word per seed; without one, always the same. */
const sampler: Answer = ({ body }) =>
  ` ${['likes', 'sees', 'eats', 'has'][Number(body.seed ?? 0) % 4]} fish.`;

describe('rollout and rate', () => {
  it('sample by the seeds of the papers, and pair the best with the worst by a rule', async () => {
    const server = await endpoint(sampler);
    const rolled = await cli(
      'rollout',
      '--rows',
      path('pairs.jsonl'),
      '--out',
      path('rolled.jsonl'),
      ...to(server),
    );
    expect(rolled.code).toBe(0);
    const seeds = server.calls.slice(0, 5).map(({ body }) => body.seed);
    expect(seeds.sort()).toEqual([100, 13, 21, 42, 79]);
    expect(server.calls[0].body).toMatchObject({ temperature: 0.8, top_p: 0.95, max_tokens: 4096 });
    const [row] = readRows('rolled.jsonl');
    expect(row).toEqual({
      index: 0,
      prompt: PAIRS[0].prompt,
      all_generated_responses: [' sees fish.', ' sees fish.', ' eats fish.', ' has fish.', ' likes fish.'],
      all_finish_reasons: Array(5).fill('stop'),
    });
    write('shortest.mjs', 'export default (prompt, answer) => -answer.length;');
    const rated = await cli(
      ...['rate', '--rows', path('rolled.jsonl'), '--out', path('rated.jsonl')],
      ...['--rater', `rule:${path('shortest.mjs')}`],
    );
    expect(rated.code).toBe(0);
    expect(readRows('rated.jsonl')[0]).toMatchObject({
      prompt: PAIRS[0].prompt,
      chosen: ' has fish.',
      rejected: ' likes fish.',
      all_rm_scores: [-11, -11, -11, -10, -12],
      score_gap: 2,
    });
  });

  it('drop prompts whose answers are all equal, and pairs without a gap', async () => {
    const server = await endpoint((call, response, count) =>
      String(call.body.prompt).includes('cat 1') ? ' same' : sampler(call, response, count),
    );
    await cli(
      'rollout',
      '--rows',
      path('pairs.jsonl'),
      '--out',
      path('few.jsonl'),
      '--max-rows',
      '3',
      ...to(server),
    );
    expect(readRows('few.jsonl').map(({ index }) => index)).toEqual([0, 2]);
    expect(readRows('few.jsonl.dropped.jsonl')[0]).toMatchObject({
      index: 1,
      reason: 'all answers are equal',
    });
    write(
      'even.mjs',
      'export default (prompt, answer) => (prompt.includes("cat 0") ? 1 : answer.length / 100);',
    );
    const rule = ['--rater', `rule:${path('even.mjs')}`];
    const out = path('even.jsonl');
    const { stderr } = await cli(
      'rate',
      '--rows',
      path('few.jsonl'),
      '--out',
      out,
      ...rule,
      '--min-gap',
      '0.5',
    );
    expect(stderr).toContain('0 rows; 2 dropped (1 tie, 1 gap below the minimum)');
  });

  it.each([
    [
      'a command',
      async () => {
        write(
          'rater.mjs',
          `import { createInterface } from 'node:readline';
for await (const line of createInterface({ input: process.stdin })) {
  const { answers } = JSON.parse(line);
  console.log(JSON.stringify({ scores: answers.map((text) => text.length) }));
}`,
        );
        return [`command:${process.execPath} ${path('rater.mjs')}`];
      },
    ],
    [
      'an HTTP endpoint',
      async () => {
        const server = await endpoint((call, response) => {
          response.end(
            JSON.stringify({ scores: (call.body.answers as string[]).map((text) => text.length) }),
          );
          return undefined;
        });
        return [`http:${server.url}`];
      },
    ],
    [
      'a judge of single answers',
      async () => {
        const server = await endpoint((call) => {
          const answer = lastMessage(call).split('# Answer\n')[1] ?? '';
          return `It is so long: [[1]]. No: [[${answer.trim().length - 5}]]`;
        });
        return ['judge:score', ...to(server)];
      },
    ],
    [
      'a judge of pairs, who likes the first place',
      async () => {
        const server = await endpoint((call) => {
          const [, first, second] =
            /# Answer A\n([\s\S]*)\n\n# Answer B\n([\s\S]*)/.exec(lastMessage(call)) ?? [];
          return second.trim().length > first.trim().length ? '[[B]]' : '[[A]]';
        });
        return ['judge:pairwise', ...to(server)];
      },
    ],
  ])('take %s as the rater', async (name, open) => {
    writeRows('answers.jsonl', [
      { prompt: 'Hi', all_generated_responses: ['a bc def', 'abc defgh', 'abcde fghijk'] },
    ]);
    const out = `by-${name.replaceAll(/\W/g, '-')}.jsonl`;
    const [rater, ...more] = await open();
    const { code, stderr } = await cli(
      'rate',
      '--rows',
      path('answers.jsonl'),
      '--out',
      path(out),
      '--rater',
      rater,
      ...more,
    );
    expect(stderr).toContain('1 rows');
    expect(code).toBe(0);
    expect(readRows(out)[0]).toMatchObject({ chosen: 'abcde fghijk', rejected: 'a bc def' });
  });

  it('say what a rater that breaks has said', async () => {
    const out = path('broken-rater.jsonl');
    const broken = `command:${process.execPath} -e "console.error('no weights here'); process.exit(3)"`;
    const { code, stderr } = await cli(
      'rate',
      '--rows',
      path('answers.jsonl'),
      '--out',
      out,
      '--rater',
      broken,
    );
    expect(code).toBe(1);
    expect(stderr).toContain('ended with 3 before every prompt was rated: no weights here');
    const wrong = await cli('rate', '--rows', path('answers.jsonl'), '--out', out, '--rater', 'magic:8');
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('expected one of reward:DIR, rule:FILE.mjs, command:PROGRAM');
  });
});

describe('own-output', () => {
  it("pairs the truth with the model's greedy answer, in BMC's template, without right answers", async () => {
    writeRows('questions.jsonl', [
      { problem: '1 + 1?', solution: 'It is 2.' },
      { problem: '1 + 2?', solution: 'It is 3.' },
    ]);
    write(
      'grader.mjs',
      'export default (answer, truth) => answer.match(/[0-9]/)?.[0] === truth.match(/[0-9]/)?.[0];',
    );
    const server = await endpoint(() => ' I say 2');
    const { stderr } = await cli(
      ...['own-output', '--rows', path('questions.jsonl'), '--out', path('own.jsonl'), ...to(server)],
      ...['--column', 'prompt=problem', '--column', 'completion=solution', '--prompts', 'instruction'],
      ...['--grader', path('grader.mjs')],
    );
    expect(stderr).toContain('1 rows; 1 dropped (1 right answer)');
    const prompt = '### Instruction:\n1 + 2?\n\n### Response:\n';
    expect(server.calls.map(({ body }) => body)).toContainEqual({
      model: 'm',
      prompt,
      max_tokens: 512,
      temperature: 0,
    });
    expect(readRows('own.jsonl')).toEqual([
      { index: 1, prompt, chosen: 'It is 3.', rejected: ' I say 2', problem: '1 + 2?', solution: 'It is 3.' },
    ]);
  });
});

describe('own-output with the grader of a task', () => {
  it('drops what that task takes for right', async () => {
    writeRows('gsm8k.jsonl', [
      { question: 'One and one?', answer: 'It is 1 + 1 = 2. #### 2' },
      { question: 'One and two?', answer: 'It is 1 + 2 = 3. #### 3' },
    ]);
    const server = await endpoint(() => 'So we have two: the answer is 2.');
    const columns = ['--column', 'prompt=question', '--column', 'completion=answer'];
    const { stderr } = await cli(
      ...['own-output', '--rows', path('gsm8k.jsonl'), '--out', path('graded.jsonl'), ...to(server)],
      ...[...columns, '--grader', 'gsm8k'],
    );
    expect(stderr).toContain('1 rows; 1 dropped (1 right answer)');
    expect(readRows('graded.jsonl')[0]).toMatchObject({ index: 1, chosen: 'It is 1 + 2 = 3. #### 3' });
  });
});

describe('continue', () => {
  it('sends prompt and prefix as ids, and keeps the prefix in the rejected answer', async () => {
    writeRows('story.jsonl', [
      { prompt: 'Once upon a time', chosen: ', there was a little girl named Lily.', rejected: 'x' },
    ]);
    const server = await endpoint(() => ' fish.');
    await cli(
      ...['continue', '--rows', path('story.jsonl'), '--out', path('cw.jsonl'), ...to(server)],
      ...['--tokenizer', 'examples/stories260K', '--share', '0.5'],
    );
    const [row] = readRows('cw.jsonl');
    const prefix = ', there was a little girl named Lily.'.slice(0, Number(row.prefix_characters));
    expect(prefix.length).toBeGreaterThan(5);
    expect(row.rejected).toBe(`${prefix} fish.`);
    expect((server.calls[0].body.prompt as number[]).slice(0, 5)).toEqual([1, 403, 407, 261, 378]);
  });
});

const weigher: Answer = (call) => {
  const word = lastMessage(call).includes('Worse answer') ? 'Fish' : 'stones';
  return `\`\`\`json\n[{"text": "${word}", "score": 3}]\n\`\`\``;
};

describe('weigh', () => {
  it('writes spans that training takes as weights of tokens', async () => {
    const server = await endpoint(weigher);
    await cli('weigh', '--rows', path('pairs.jsonl'), '--out', path('weighed.jsonl'), ...to(server));
    const [row] = readRows('weighed.jsonl');
    expect(row).toMatchObject({ chosen_weights: [{ start: 0, end: 4, weight: 2 }] });
    const start = PAIRS[0].rejected.indexOf('stones');
    expect(row).toMatchObject({ rejected_weights: [{ start, end: start + 6, weight: 2 }] });
    write(
      'ew.yaml',
      `model: {path: examples/stories260K}\nobjective: dpo\ndata: {train: ${path('weighed.jsonl')}, max_length: 256}\noutput_dir: ${path('ew')}\n`,
    );
    const preview = await cli('preview', path('ew.yaml'));
    expect(preview.stderr).toBe('');
    expect(preview.code).toBe(0);
  });
});

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
      ['--import', 'tsx', 'test/preferences/commands-killed.ts', JSON.stringify(lines)],
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

function lineCount(file: string): number {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0;
}
