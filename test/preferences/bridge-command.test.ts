/** prefgrad bridge as it is typed, against an endpoint that answers as the test wants. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { cli } from '../support/run-cli.ts';
import { commandFolder, goodEditor, improved, lastMessage, PAIRS } from './command-folder.ts';

const { path, write, writeRows, readRows, endpoint, to } = commandFolder();

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
    // Requests of a few rows are on their way together, and any of them may come first.
    const prompts = server.calls.map(lastMessage);
    for (const { chosen } of PAIRS) {
      expect(prompts).toContainEqual(expect.stringContaining(`# Reference solution\n${chosen}`));
    }
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
