/** The files of `prefgrad objectives --evaluate`: what is written, and what is refused before anything runs. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluateObjectivesFile } from '../../src/cases/evaluate-file.ts';
import { InputError } from '../../src/errors.ts';
import { testRuntime } from '../support/runtime.ts';
import { readFixture } from './golden.ts';
import { expectCase, type Golden, type GoldenCase } from './golden-case.ts';

const golden = readFixture<Golden>('golden/golden.json');
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'prefgrad-cases-'));
});
afterAll(() => rm(directory, { recursive: true }));

async function evaluate(content: unknown): Promise<Record<string, unknown>[]> {
  const [input, out] = ['in.json', 'out.jsonl'].map((name) => join(directory, name));
  await writeFile(input, typeof content === 'string' ? content : JSON.stringify(content));
  await evaluateObjectivesFile(testRuntime(), { input, out });
  const lines = (await readFile(out, 'utf8')).trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** The message of the refusal, after which there is no output and no part of one. */
async function refusal(content: unknown): Promise<string> {
  await rm(join(directory, 'out.jsonl'), { force: true });
  const error: unknown = await evaluate(content).then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(InputError);
  expect(await readdir(directory)).toEqual(['in.json']);
  return (error as InputError).message;
}

const withPair = (change: object) => ({
  batch: { pairs: [golden.batch.pairs[0], { ...golden.batch.pairs[1], ...change }] },
  cases: [],
});

describe('the output', () => {
  it('has one line per case in order, with adapter, dispatches and what the method has besides', async () => {
    const names = ['dpo', 'dpo_bmc', 'epsilon_dpo'];
    const cases = names.map((name) => golden.cases.find((c) => c.name === name) as GoldenCase);
    const lines = await evaluate({ batch: golden.batch, cases });
    expect(lines.map((line) => line.name)).toEqual(names);
    lines.forEach((line, i) => {
      expectCase(line, cases[i]);
      expect(line.hp).toEqual(cases[i].hp);
      expect(line.adapter).toEqual(expect.stringMatching(/\w/));
      expect(line.dispatches).toBeGreaterThan(10);
    });
    const common = [
      'name',
      'hp',
      'loss',
      'losses',
      'grad_chosen',
      'grad_rejected',
      'chosen_rewards',
      'rejected_rewards',
    ];
    expect(Object.keys(lines[0])).toEqual([...common, 'adapter', 'dispatches']);
  });
});

describe('refused before anything runs', () => {
  it.each([
    ['no JSON', '{', 'not JSON'],
    ['no pairs', { batch: { pairs: [] }, cases: [] }, 'batch.pairs'],
    ['a pair without logits', withPair({ ref_chosen_logits: undefined }), 'batch.pairs.1.ref_chosen_logits'],
    [
      'logits of too few tokens',
      withPair({ policy_chosen_logits: [[1, 2]] }),
      'policy_chosen_logits is not [',
    ],
    [
      'a token beyond the vocabulary',
      withPair({ chosen_ids: golden.batch.pairs[1].chosen_ids.map(() => 11) }),
      'token 11',
    ],
    ['an unknown method', { batch: golden.batch, cases: [{ name: 'dbo', hp: {} }] }, 'did you mean dpo?'],
    [
      'a setting out of range',
      { batch: golden.batch, cases: [{ name: 'dpo', hp: { beta: -1 } }] },
      'settings.beta',
    ],
    [
      'BMC where it is not taken',
      { batch: golden.batch, cases: [{ name: 'kto_bmc', hp: {} }] },
      'kto does not take token weights',
    ],
  ])('%s', async (_, content, message) => {
    expect(await refusal(content)).toContain(message);
  });
});
