/** Conversations of every family: its special tokens and its format, on small tokenizers of its kind. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ChatTemplate } from '../../src/data/chat-template.ts';
import type { Turn } from '../../src/data/conversations.ts';
import type { Tokenizer } from '../../src/data/tokenizer.ts';
import { LLAMA3, STORIES, tokenizerFrom } from './tokenizers.ts';

interface Family {
  readonly name: string;
  readonly tokenizer: () => Promise<Tokenizer>;
  readonly bos: string | undefined;
  /** What ends a turn, and text. */
  readonly endOfTurn: string;
  /** What the prompt and its answer 'fine' look like. */
  readonly prompt: string;
  readonly answer: string;
}

const PROMPT: readonly Turn[] = [
  { role: 'user', content: 'hi' },
  { role: 'assistant', content: 'hello' },
  { role: 'user', content: 'how are you?' },
];
const where = { file: 'd.jsonl', line: 1 };

const templateOf = (name: string) =>
  readFileSync(new URL(`../fixtures/chat-templates/${name}.jinja`, import.meta.url), 'utf8');

const special = (content: string, id: number) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
});

/** Byte-level BPE without a BOS. */
const qwen = (template: string) => () =>
  tokenizerFrom(LLAMA3, (json, config) => {
    const first = (json.added_tokens as { id: number }[])[0].id;
    const tokens = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];
    json.added_tokens = tokens.map((content, i) => special(content, first + i));
    json.post_processor = null;
    Object.assign(config, {
      bos_token: null,
      eos_token: '<|im_end|>',
      pad_token: '<|endoftext|>',
      chat_template: templateOf(template),
    });
  });

/** SentencePiece with a BOS, whose beginning and end of text have the given names. */
const sentencePiece =
  (template: string, bos: string, eos: string, more: readonly string[], generationEos?: readonly number[]) =>
  () =>
    tokenizerFrom(STORIES, (json, config, files) => {
      const renamed = JSON.stringify(json).replaceAll('"<s>"', `"${bos}"`).replaceAll('"</s>"', `"${eos}"`);
      Object.assign(json, JSON.parse(renamed));
      const added = json.added_tokens as unknown[];
      json.added_tokens = [...added, ...more.map((content, i) => special(content, 512 + i))];
      Object.assign(config, {
        bos_token: bos,
        eos_token: eos,
        pad_token: eos,
        chat_template: templateOf(template),
      });
      if (generationEos !== undefined)
        files['m/generation_config.json'] = JSON.stringify({ eos_token_id: generationEos });
    });

const QWEN_TURNS =
  '<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nhello<|im_end|>\n' +
  '<|im_start|>user\nhow are you?<|im_end|>\n<|im_start|>assistant\n';

const families: readonly Family[] = [
  {
    name: 'Llama 3',
    tokenizer: () => tokenizerFrom(LLAMA3),
    bos: '<|begin_of_text|>',
    endOfTurn: '<|eot_id|>',
    prompt:
      '<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>' +
      '<|start_header_id|>assistant<|end_header_id|>\n\nhello<|eot_id|>' +
      '<|start_header_id|>user<|end_header_id|>\n\nhow are you?<|eot_id|>' +
      '<|start_header_id|>assistant<|end_header_id|>\n\n',
    answer: 'fine<|eot_id|>',
  },
  {
    name: 'Qwen 2.5',
    tokenizer: qwen('qwen2.5'),
    bos: undefined,
    endOfTurn: '<|im_end|>',
    prompt: `<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n${QWEN_TURNS}`,
    answer: 'fine<|im_end|>\n',
  },
  {
    name: 'Qwen 3',
    tokenizer: qwen('qwen3'),
    bos: undefined,
    endOfTurn: '<|im_end|>',
    prompt: QWEN_TURNS,
    answer: '<think>\n\n</think>\n\nfine<|im_end|>\n',
  },
  {
    name: 'Gemma 2',
    tokenizer: sentencePiece('gemma2', '<bos>', '<eos>', ['<start_of_turn>', '<end_of_turn>'], [2, 513]),
    bos: '<bos>',
    endOfTurn: '<end_of_turn>',
    prompt:
      '<bos><start_of_turn>user\nhi<end_of_turn>\n<start_of_turn>model\nhello<end_of_turn>\n' +
      '<start_of_turn>user\nhow are you?<end_of_turn>\n<start_of_turn>model\n',
    answer: 'fine<end_of_turn>\n',
  },
  {
    name: 'Mistral',
    tokenizer: sentencePiece('mistral', '<s>', '</s>', ['[INST]', '[/INST]']),
    bos: '<s>',
    endOfTurn: '</s>',
    prompt: '<s>[INST] hi[/INST] hello</s>[INST] how are you?[/INST]',
    answer: ' fine</s>',
  },
];

describe.each(families.map((family) => [family.name, family] as const))('%s', (_name, family) => {
  const encoded = async () => {
    const tokenizer = await family.tokenizer();
    const answers = [[{ role: 'assistant', content: 'fine' }], [{ role: 'assistant', content: 'no' }]];
    const chat = new ChatTemplate(tokenizer).encode(PROMPT, answers, where);
    const idOf = (content: string) =>
      tokenizer.specials.tokens.find((token) => token.content === content)?.id;
    const count = (ids: readonly number[], content: string) => {
      const id = idOf(content) ?? expect.unreachable(`${content} is not a special token`);
      return ids.filter((other) => other === id).length;
    };
    return { tokenizer, chat, count, idOf };
  };

  it('writes the turns in its format', async () => {
    const { chat } = await encoded();
    expect(chat.promptText).toBe(family.prompt);
    expect(chat.texts[0]).toBe(family.answer);
  });

  it(`has ${family.bos === undefined ? 'no BOS' : 'one BOS, at the start'}`, async () => {
    const { tokenizer, chat, count, idOf } = await encoded();
    if (family.bos === undefined) {
      expect(tokenizer.bosId).toBeUndefined();
      return;
    }
    expect(chat.promptIds[0]).toBe(idOf(family.bos));
    expect(count([...chat.promptIds, ...chat.answerIds[0]], family.bos)).toBe(1);
  });

  it('ends every answer with one end of turn, at which generation stops', async () => {
    const { tokenizer, chat, count, idOf } = await encoded();
    for (const ids of chat.answerIds) {
      expect(count(ids, family.endOfTurn)).toBe(1);
      const behind = tokenizer.decode(ids.slice(ids.indexOf(idOf(family.endOfTurn) ?? -1) + 1));
      expect(behind.trim()).toBe('');
    }
    expect(tokenizer.eosIds).toContain(idOf(family.endOfTurn));
  });

  it('makes its markers of one token each, and of nothing that a user writes', async () => {
    const { tokenizer, chat, count } = await encoded();
    const turnsBefore = family.prompt.split(family.endOfTurn).length - 1;
    expect(count(chat.promptIds, family.endOfTurn)).toBe(turnsBefore);
    const quoted = [{ role: 'user', content: `say ${family.endOfTurn}` }];
    const answers = [[{ role: 'assistant', content: family.endOfTurn }]];
    const spoken = new ChatTemplate(tokenizer).encode(quoted, answers, where);
    expect(count(spoken.answerIds[0], family.endOfTurn)).toBe(1);
  });
});

it('Gemma 2 refuses a system turn as its template does', async () => {
  const template = new ChatTemplate(await families[3].tokenizer());
  const turns = [{ role: 'system', content: 'be kind' }, ...PROMPT];
  const answers = [[{ role: 'assistant', content: 'fine' }]];
  expect(() => template.encode(turns, answers, where)).toThrow(/System role not supported/);
});
