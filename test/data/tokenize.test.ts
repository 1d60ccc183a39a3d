import { describe, expect, it } from 'vitest';
import type { Example, PairExample } from '../../src/data/examples.ts';
import { type RowSettings, readRow } from '../../src/data/rows.ts';
import { RowTokenizer, type TokenizeSettings } from '../../src/data/tokenize.ts';
import { cutPrompt, fitRow } from '../../src/data/truncation.ts';
import { LLAMA3, STORIES, tokenizerFrom } from './tokenizers.ts';

const stories = await tokenizerFrom(STORIES);
const llama3 = await tokenizerFrom(LLAMA3);

function tokenize(value: Record<string, unknown>, settings: TokenizeSettings = {}, tokenizer = stories) {
  return new RowTokenizer(tokenizer, settings).tokenize(readRow({ file: 'd.jsonl', line: 2, value }), 0);
}
function example(...args: Parameters<typeof tokenize>): Example {
  const tokenized = tokenize(...args);
  if (!('example' in tokenized)) throw new Error(`dropped: ${tokenized.dropped}`);
  return tokenized.example;
}
function pair(...args: Parameters<typeof tokenize>): PairExample {
  const made = example(...args);
  if (made.kind !== 'pair') throw new Error('not a pair');
  return made;
}
const ROW = { prompt: 'Once upon a time', chosen: ' there was a girl', rejected: ' there was a dog' };

describe('plain rows', () => {
  it('have the prompt with BOS, and responses that end with EOS once', () => {
    const { promptIds, chosen, rejected, line } = pair(ROW);
    expect([...promptIds]).toEqual([1, 403, 407, 261, 378]);
    expect(line).toBe(2);
    for (const [answer, text] of [
      [chosen, ROW.chosen],
      [rejected, ROW.rejected],
    ] as const) {
      expect(answer.ids.at(-1)).toBe(2);
      expect(stories.decode(answer.ids)).toBe(`${text}</s>`);
    }
  });

  it('never get a second EOS where the text already ends with one', () => {
    const { chosen } = pair({ ...ROW, chosen: ' there was a girl</s>' });
    expect([...chosen.ids]).toEqual([...pair(ROW).chosen.ids]);
  });

  it('leave special strings text when asked', () => {
    const { promptIds } = pair({ ...ROW, prompt: 'a</s>' }, { plainSpecialText: 'text' });
    expect([...promptIds]).not.toContain(2);
  });

  it('KTO rows keep their label', () => {
    const made = example({ prompt: 'Once', completion: ' upon', label: false });
    expect(made).toMatchObject({ kind: 'unpaired', label: false });
  });

  it('need a prompt where there is no BOS, and an EOS', async () => {
    const bare = await tokenizerFrom(STORIES, (_, config) => {
      config.add_bos_token = false;
    });
    expect(() => tokenize({ ...ROW, prompt: '' }, {}, bare)).toThrow(/d\.jsonl:2: the prompt has no tokens/);
    const endless = await tokenizerFrom(STORIES, (_, config) => {
      config.eos_token = null;
    });
    expect(() => tokenize(ROW, {}, endless)).toThrow(/names no eos_token/);
  });

  it('must fit the vocabulary of the model', () => {
    expect(() => tokenize(ROW, { modelVocabSize: 300 })).toThrow(
      /tokenizer\.json: token id \d+ .*vocabulary of 300/,
    );
  });
});

describe('conversational rows', () => {
  it('end as the template ends them', () => {
    const prompt = [{ role: 'user', content: 'how are you?' }];
    const { promptIds, chosen } = pair({ prompt, chosen: 'fine', rejected: 'no' }, {}, llama3);
    expect(promptIds.filter((id) => id === llama3.bosId)).toHaveLength(1);
    expect(llama3.decode(chosen.ids)).toBe('fine<|eot_id|>');
  });
});

describe('rows that are dropped', () => {
  it('answers of the same tokens', () => {
    expect(tokenize({ ...ROW, rejected: ROW.chosen })).toEqual({ dropped: 'identical' });
  });

  it('answers that differ only behind the cut', () => {
    const kept = pair(ROW).promptIds.length + 2;
    expect(tokenize(ROW, { maxLength: kept })).toEqual({ dropped: 'identical' });
  });

  it('a prompt that fills the length', () => {
    expect(tokenize(ROW, { maxLength: 5 })).toEqual({ dropped: 'too_long' });
  });
});

describe('truncation', () => {
  const prompt = [1, 10, 11, 12, 13];

  it('leaves alone what fits', () => {
    expect(fitRow(prompt, [3, 2], 8, 'keep_start', 1)).toEqual({
      promptIds: prompt,
      lengths: [3, 2],
      truncated: false,
    });
  });

  it('keep_start cuts each answer at its end', () => {
    expect(fitRow(prompt, [4, 2], 8, 'keep_start', 1)).toEqual({
      promptIds: prompt,
      lengths: [3, 2],
      truncated: true,
    });
    expect(fitRow(prompt, [4, 2], 5, 'keep_start', 1)).toBeNull();
  });

  it('keep_end cuts the prompt behind its BOS and keeps answers whole', () => {
    expect(fitRow(prompt, [4, 2], 7, 'keep_end', 1)).toEqual({
      promptIds: [1, 12, 13],
      lengths: [4, 2],
      truncated: true,
    });
    expect(fitRow(prompt, [4, 2], 5, 'keep_end', 1)?.promptIds).toEqual([1]);
    expect(fitRow([10, 11, 12], [4], 6, 'keep_end', 1)?.promptIds).toEqual([11, 12]);
    expect(fitRow(prompt, [4, 2], 4, 'keep_end', 1)).toBeNull();
  });

  it('loses the EOS in keep_start, never in keep_end', () => {
    const whole = pair(ROW);
    const maxLength = whole.promptIds.length + whole.chosen.ids.length - 1;
    const start = pair(ROW, { maxLength });
    expect(start.truncated).toBe(true);
    expect([...start.chosen.ids]).toEqual([...whole.chosen.ids.slice(0, -1)]);
    const end = pair(ROW, { maxLength, truncation: 'keep_end' });
    expect([...end.promptIds]).toEqual([1, 407, 261, 378]);
    expect(end.chosen.ids.at(-1)).toBe(2);
  });
});

describe('differences', () => {
  it('are marked when asked, on the whole answers, and cut with them', () => {
    const row = { prompt: 'Once', chosen: ' a girl', rejected: ' a dog' };
    const { chosen, rejected } = pair(row, { diff: 'levenshtein' });
    const changed = (answer: typeof chosen) =>
      stories.decode(answer.ids.filter((_, i) => answer.diff?.[i] === 1));
    expect(' girl').toContain(changed(chosen).trim());
    expect(changed(rejected)).not.toBe('');
    expect(chosen.diff?.at(-1)).toBe(0);
    expect(pair(row).chosen.diff).toBeUndefined();
    const cut = pair(row, { diff: 'levenshtein', maxLength: 4 });
    expect(cut.chosen.diff).toEqual(chosen.diff?.slice(0, cut.chosen.ids.length));
    expect(pair(row, { diff: 'difflib' }).chosen.diff).toHaveLength(chosen.ids.length);
  });
});

describe('weights', () => {
  it('one number per token, with or without the EOS we add', () => {
    const tokens = pair(ROW).chosen.ids.length;
    const full = Array.from({ length: tokens }, (_, i) => i);
    expect([...(pair({ ...ROW, chosen_weights: full }).chosen.weights ?? [])]).toEqual(full);
    const short = full.slice(0, -1);
    expect([...(pair({ ...ROW, chosen_weights: short }).chosen.weights ?? [])]).toEqual([...short, 1]);
    expect(() => tokenize({ ...ROW, chosen_weights: [1] })).toThrow(
      new RegExp(`d\\.jsonl:2: field 'chosen_weights' has 1 weights for ${tokens} response tokens`),
    );
  });

  it('spans of characters weigh every token that touches them; the rest weighs 1', () => {
    const { chosen } = pair({ ...ROW, chosen_weights: [{ start: 7, end: 10, weight: 3 }] });
    const heavy = chosen.ids.filter((_, i) => chosen.weights?.[i] === 3);
    expect(stories.decode(heavy)).toBe(' was');
    expect(chosen.weights?.at(-1)).toBe(1);
  });

  it('count characters, not UTF-16 units or bytes', () => {
    const { chosen } = pair({
      ...ROW,
      chosen: '🙂🙂 was',
      chosen_weights: [{ start: 1, end: 2, weight: 2 }],
    });
    expect([...(chosen.weights ?? [])].slice(0, 8)).toEqual([1, 1, 1, 1, 2, 2, 2, 2]);
    expect([...(chosen.weights ?? [])].slice(8)).not.toContain(2);
  });

  it('refer to the answer inside a templated response, trimmed or not', () => {
    const prompt = [{ role: 'user', content: 'hi' }];
    const row = {
      prompt,
      chosen: '  the cat',
      rejected: 'no',
      chosen_weights: [{ start: 6, end: 9, weight: 5 }],
    };
    const { chosen } = pair(row, {}, llama3);
    expect(llama3.decode(chosen.ids.filter((_, i) => chosen.weights?.[i] === 5)).trim()).toBe('cat');
  });

  it('must lie inside the answer', () => {
    expect(() => tokenize({ ...ROW, chosen_weights: [{ start: 0, end: 99, weight: 2 }] })).toThrow(
      /span \[0, 99\) ends behind/,
    );
  });
});

describe('all turns of the assistant', () => {
  const turns = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello there' },
    { role: 'user', content: 'Bye' },
    { role: 'assistant', content: 'See you' },
  ];
  function completion(settings: TokenizeSettings & RowSettings) {
    const row = readRow(
      { file: 'd.jsonl', line: 2, value: { messages: turns } },
      { expects: 'chosen', ...settings },
    );
    const tokenized = new RowTokenizer(llama3, settings).tokenize(row, 0);
    if (!('example' in tokenized) || tokenized.example.kind !== 'unpaired') throw new Error('no example');
    return tokenized.example;
  }

  it('are in the loss with their ends of turn, what stands between them is not', () => {
    const { promptIds, completion: answer } = completion({ lossOn: 'assistant_turns' });
    const inLoss = Array.from(answer.ids).filter((_, t) => answer.lossMask?.[t] === 1);
    expect(llama3.decode(inLoss)).toBe('Hello there<|eot_id|>See you<|eot_id|>');
    const last = completion({ lossOn: 'completion' });
    expect([...promptIds, ...answer.ids]).toEqual([...last.promptIds, ...last.completion.ids]);
    expect(last.completion.lossMask).toBeUndefined();
    expect(llama3.decode(last.completion.ids)).toBe('See you<|eot_id|>');
  });

  it('are cut to max_length, and end with a token that is in the loss', () => {
    const whole = completion({ lossOn: 'assistant_turns' });
    const first = whole.completion.lossMask?.indexOf(0) ?? 0;
    const cut = completion({ lossOn: 'assistant_turns', maxLength: whole.promptIds.length + first + 2 });
    expect(cut.truncated).toBe(true);
    expect([...cut.completion.ids]).toEqual([...whole.completion.ids.slice(0, first)]);
  });

  it('need a template that only adds to what it has written', async () => {
    const rewriting = await tokenizerFrom(LLAMA3, (_, config) => {
      config.chat_template = '{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}';
    });
    const row = readRow(
      { file: 'd.jsonl', line: 2, value: { messages: turns } },
      { expects: 'chosen', lossOn: 'assistant_turns' },
    );
    expect(() => new RowTokenizer(rewriting, { lossOn: 'assistant_turns' }).tokenize(row, 0)).toThrow(
      /d\.jsonl:2: the chat template \(.+\) writes the prompt differently/,
    );
  });
});

describe('max_prompt_length', () => {
  it('cuts the start of a long prompt behind the BOS, before max_length is looked at', () => {
    expect(cutPrompt([1, 5, 6, 7, 8], 3, 1)).toEqual([1, 7, 8]);
    expect(cutPrompt([5, 6, 7, 8], 3, 1)).toEqual([6, 7, 8]);
    expect(cutPrompt([1, 5, 6], 1, 1)).toEqual([1]);
    expect(cutPrompt([1, 5, 6], 3, 1)).toEqual([1, 5, 6]);
    const { promptIds, chosen, truncated } = pair(ROW, { maxPromptLength: 3, maxLength: 7 });
    expect([...promptIds]).toEqual([1, 261, 378]);
    expect(chosen.ids).toHaveLength(4);
    expect(truncated).toBe(true);
    expect(pair(ROW, { maxPromptLength: 5 }).truncated).toBe(false);
  });
});
