/** rollout, rate, own-output, continue and weigh as they are typed, against an endpoint that answers as the test wants. */
import { describe, expect, it } from 'vitest';
import { cli } from '../support/run-cli.ts';
import { commandFolder, lastMessage, PAIRS, sampler, weigher } from './command-folder.ts';

const { path, write, writeRows, readRows, endpoint, to } = commandFolder();

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
