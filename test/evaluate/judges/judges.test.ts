/** Judges with a model that answers by rule: what they are shown, how verdicts are read, what is computed from them. */
import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { arenaSummary, judgeArena } from '../../../src/evaluate/judges/arena-hard.ts';
import { type Game, strengths, winRate } from '../../../src/evaluate/judges/bradley-terry.ts';
import { hhSummary, rateHhAnswers, readHhDialogues } from '../../../src/evaluate/judges/hh.ts';
import type { JudgeModel } from '../../../src/evaluate/judges/judge-model.ts';
import {
  answerMtQuestions,
  judgeMtAnswers,
  mtSummary,
  readMtQuestions,
} from '../../../src/evaluate/judges/mt-bench.ts';
import { judgePairs } from '../../../src/evaluate/judges/pairwise.ts';
import type { LlmRequest } from '../../../src/llm/request.ts';
import type { CompletionModel } from '../../../src/preferences/completion-model.ts';
import { PromptFile } from '../../../src/preferences/prompt-file.ts';
import { MemoryFiles } from '../../../src/runtime/memory-files.ts';

const files = new MemoryFiles();
let prompts: PromptFile;

beforeAll(async () => {
  files.add('benchmarks.yaml', await readFile('examples/prompts/benchmarks.yaml', 'utf8'));
  prompts = await PromptFile.load(files, 'benchmarks.yaml');
});

/** The last message of a chat. */
const asked = (request: LlmRequest): string =>
  'messages' in request ? (request.messages.at(-1)?.content ?? '') : '';

/** A model that writes what `rule` says, and the requests that it was sent. */
function ruled(rule: (text: string) => string): { model: CompletionModel; requests: LlmRequest[] } {
  const requests: LlmRequest[] = [];
  const model: CompletionModel = {
    complete: async (request) => {
      requests.push(request);
      return {
        text: rule(asked(request)),
        finishReason: 'stop',
        promptTokens: 1,
        completionTokens: 1,
        cached: false,
      };
    },
  };
  return { model, requests };
}

const judgeOf = (model: CompletionModel): JudgeModel => ({
  model,
  prompts,
  sampling: { maxTokens: 100, temperature: 0 },
});
const pairs = Array.from({ length: 12 }, (_, i) => ({
  prompt: `p${i}`,
  baseline: 'short',
  model: 'fine reply',
}));
/** Whether the fine reply stands first. */
const goodIsFirst = (text: string) => text.indexOf('fine reply') < text.indexOf('short');

describe('pairwise', () => {
  it('gives the preference back to the model in either place', async () => {
    const { model } = ruled((text) => `I say [[B]] is bad? No: [[${goodIsFirst(text) ? 'A' : 'B'}]]`);
    const rows = await judgePairs(judgeOf(model), pairs, 0);
    expect(rows.map(({ preference }) => preference)).toEqual(pairs.map(() => 2));
    expect(new Set(rows.map(({ swapped }) => swapped)).size).toBe(2);
  });

  it('asks once more where there is no verdict, and then goes on without one', async () => {
    const { model, requests } = ruled(() => 'Hard to say.');
    const [row] = await judgePairs(judgeOf(model), pairs.slice(0, 1), 0);
    expect(row.preference).toBeNull();
    expect(requests).toHaveLength(2);
    expect(asked(requests[1])).toMatch(/it has no verdict/);
  });
});

describe('arena-hard', () => {
  it('plays two games with places swapped, so that a judge who likes the first place gives one half', async () => {
    const { model } = ruled(() => '[[A>B]]');
    const rows = await judgeArena(judgeOf(model), pairs);
    const summary = arenaSummary(rows, 0);
    expect(summary).toMatchObject({ questions: 12, games: 24, without_verdict: 0 });
    expect(summary.win_rate).toBeCloseTo(50, 6);
  });

  it('has no win rate where there is no verdict', async () => {
    const { model } = ruled(() => 'Both are fine.');
    const rows = await judgeArena(judgeOf(model), pairs);
    expect(rows[0].verdicts).toEqual([null, null]);
    expect(() => arenaSummary(rows, 0)).toThrow('no verdict on any game');
    expect(() => mtSummary([])).toThrow('no verdict on any turn');
  });

  it('counts a clear win three times', async () => {
    const { model } = ruled((text) => (goodIsFirst(text) ? '[[A>>B]]' : '[[A > B]]'));
    const { win_rate, low, high } = arenaSummary(await judgeArena(judgeOf(model), pairs), 0);
    // Three wins to one loss per question; the fit's wide prior costs less than 0.1.
    expect(win_rate).toBeCloseTo(75, 0);
    expect(low).toBeLessThan(win_rate);
    expect(high).toBeGreaterThan(win_rate);
  });
});

describe('the Bradley-Terry fit', () => {
  const games = (first: string, second: string, wins: number, losses: number): Game[] => [
    ...Array.from({ length: wins }, () => ({ first, second, score: 1, weight: 1 })),
    ...Array.from({ length: losses }, () => ({ first, second, score: 0, weight: 1 })),
  ];

  it('finds the log-odds of games that agree with each other', () => {
    // a beats b 2:1, b beats c 2:1, a beats c 4:1.
    const found = strengths(
      [...games('a', 'b', 200, 100), ...games('b', 'c', 200, 100), ...games('a', 'c', 400, 100)],
      'c',
    );
    expect(found.get('c')).toBe(0);
    expect(found.get('b')).toBeCloseTo(Math.log(2), 3);
    expect(found.get('a')).toBeCloseTo(Math.log(4), 3);
  });

  it('stays finite for a player who never loses', () => {
    const { rate } = winRate(games('a', 'b', 10, 0), 'a', 'b', { rounds: 5 });
    expect(rate).toBeGreaterThan(0.99);
    expect(rate).toBeLessThan(1);
  });
});

describe('mt-bench', () => {
  const questions = [
    { question_id: 1, category: 'writing', turns: ['Write.', 'Shorter.'] },
    { question_id: 2, category: 'math', turns: ['1+1?', 'And 2+2?'], reference: ['two', 'four'] },
    { question_id: 3, category: 'extraction', turns: ['Find.', 'More.'], reference: ['here', 'there'] },
  ];

  it('answers at the temperature of the category, having seen the first turn', async () => {
    files.add('mt.jsonl', questions.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const { model, requests } = ruled((text) => `answer to ${text}`);
    const answers = await answerMtQuestions(model, await readMtQuestions(files, 'mt.jsonl'), 50);
    expect(answers.get('2')).toEqual(['answer to 1+1?', 'answer to And 2+2?']);
    const temperatures = requests.map((request) => request.temperature);
    expect(temperatures.sort()).toEqual([0, 0, 0, 0, 0.7, 0.7]);
    const second = requests.find((request) => asked(request) === 'Shorter.');
    expect(second && 'messages' in second ? second.messages.map(({ role }) => role) : []).toEqual([
      'user',
      'assistant',
      'user',
    ]);
  });

  it('shows references for maths alone, and averages both turns', async () => {
    const loaded = await readMtQuestions(files, 'mt.jsonl');
    const answers = new Map(loaded.map(({ id }) => [id, ['first', 'second']]));
    const { model, requests } = ruled((text) => `Rating: [[${text.includes('A right answer') ? 9 : 5}]]`);
    const rows = await judgeMtAnswers(judgeOf(model), loaded, answers);
    expect(mtSummary(rows)).toMatchObject({
      ratings: 6,
      turns: { 1: 19 / 3, 2: 19 / 3 },
      categories: { writing: 5, math: 9, extraction: 5 },
    });
    const secondTurn = requests.map(asked).find((text) => text.includes('And 2+2?'));
    expect(secondTurn).toContain('[assistant]\nfirst');
    expect(secondTurn).toContain('four');
  });

  it('needs an answer to every turn', async () => {
    const loaded = await readMtQuestions(files, 'mt.jsonl');
    const { model } = ruled(() => '[[1]]');
    await expect(judgeMtAnswers(judgeOf(model), loaded, new Map([['1', ['one']]]))).rejects.toThrow(
      /Question 1 has 1 answers for 2 turns/,
    );
  });
});

describe('hh', () => {
  it('rates answers to dialogues of one turn against the chosen ones', async () => {
    const dialogue = (turns: string, answer: string) => `${turns}\n\nAssistant: ${answer}`;
    const one = '\n\nHuman: Hello?';
    const rows = [
      { chosen: dialogue(one, 'a long answer'), rejected: dialogue(one, 'no') },
      {
        chosen: dialogue(`${one}\n\nAssistant: Yes?\n\nHuman: Well`, 'a'),
        rejected: dialogue(`${one}\n\nAssistant: Yes?\n\nHuman: Well`, 'b'),
      },
      { chosen: dialogue(one, 'ok'), rejected: dialogue(one, 'no') },
      { chosen: dialogue(one, 'same'), rejected: dialogue(one, 'no') },
    ];
    files.add('hh.jsonl', rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const dialogues = await readHhDialogues(files, 'hh.jsonl');
    expect(dialogues).toHaveLength(3);
    const byLength = {
      settings: {},
      rate: async ({ answers }: { answers: readonly string[] }) => answers.map((text) => text.trim().length),
    };
    const judged = await rateHhAnswers(byLength, dialogues, ['short', 'longer', 'four']);
    expect(judged.map(({ win }) => win)).toEqual([0, 1, 0.5]);
    expect(hhSummary(judged)).toMatchObject({ count: 3, win_rate: 0.5, draws: 1 });
  });
});
