import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadTokenizer } from '../../src/data/load-tokenizer.ts';
import { memoryFiles } from './memory-files.ts';
import { LLAMA3, STORIES, tokenizerFrom } from './tokenizers.ts';

const stories = await tokenizerFrom(STORIES);
const llama3 = await tokenizerFrom(LLAMA3);

describe('a SentencePiece-style tokenizer (stories260K)', () => {
  it('encodes a prompt as the tokenizer does, with its BOS', () => {
    expect(stories.encodePrompt('Once upon a time')).toEqual([1, 403, 407, 261, 378]);
  });

  it('puts no space mark before a continuation unless the text begins with a space', () => {
    const [, ...marked] = stories.encodePrompt('time');
    expect(stories.encodeContinuation(' time')).toEqual(marked);
    expect(stories.encodeContinuation('time')).not.toEqual(marked);
    expect(stories.decode(stories.encodeContinuation('time'))).toBe('time');
  });

  it('keeps the leading space of a continuation, and drops the mark of a text that begins', () => {
    expect(stories.decode(stories.encodeContinuation(' there was'))).toBe(' there was');
    expect(stories.decode(stories.encodePrompt('there was'), { atStart: true, skipSpecial: true })).toBe(
      'there was',
    );
  });

  it('gives any text back, bytes included', () => {
    for (const text of [' ', 'x  y', '\n\n- a\tb', 'naïve 🙂 漢字', '<unk>', '<0x0A>']) {
      expect(stories.decode(stories.encodeContinuation(text, 'text'))).toBe(text);
    }
  });

  it('parses special strings in plain text as the tokenizer does, or leaves them text when asked', () => {
    expect(stories.encodeContinuation('</s>')).toEqual([2]);
    const asText = stories.encodeContinuation('a</s>', 'text');
    expect(asText).not.toContain(2);
    expect(stories.decode(asText)).toBe('a</s>');
  });

  it('knows its ids', () => {
    expect([stories.vocabSize, stories.bosId, stories.eosId]).toEqual([512, 1, 2]);
    expect(stories.tokenText(2)).toBe('</s>');
    expect(stories.tokenText(378)).toBe(' time');
    expect(stories.tokenText(200)).toBe('<0xC5>');
  });

  it('tells whether sampled ids survive decoding and encoding', () => {
    expect(stories.reencodes([...stories.encodeContinuation(' a little girl'), 2])).toBe(true);
    const letters = Array.from('time', (c) => stories.encodeContinuation(c)[0]);
    expect(stories.reencodes(letters)).toBe(false);
  });

  it('names the tokenizer when an id lies outside the model', () => {
    expect(() => stories.checkIds([1, 403], 400)).toThrow(
      /tokenizer\.json: token id 403 .*vocabulary of 400/,
    );
    expect(() => stories.checkIds([1, 403], 404)).not.toThrow();
  });
});

describe('BOS', () => {
  it('add_bos_token: false removes what the post-processor adds', async () => {
    const tokenizer = await tokenizerFrom(STORIES, (_, config) => {
      config.add_bos_token = false;
    });
    expect(tokenizer.encodePrompt('Once upon a time')).toEqual([403, 407, 261, 378]);
  });

  it('add_bos_token: true adds it where the post-processor has none', async () => {
    const tokenizer = await tokenizerFrom(STORIES, (json) => {
      json.post_processor = null;
    });
    expect(tokenizer.encodePrompt('Once upon a time')).toEqual([1, 403, 407, 261, 378]);
  });

  it('leaves out an EOS that the post-processor would put behind the prompt', async () => {
    const tokenizer = await tokenizerFrom(STORIES, (json) => {
      const special = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
      json.post_processor = {
        type: 'TemplateProcessing',
        single: [special('<s>'), { Sequence: { id: 'A', type_id: 0 } }, special('</s>')],
        pair: [],
        special_tokens: {},
      };
    });
    expect(tokenizer.encodePrompt('Once upon a time')).toEqual([1, 403, 407, 261, 378]);
  });
});

describe("a Metaspace tokenizer with prepend_scheme 'first'", () => {
  it('marks the very beginning only: no continuation, and nothing behind a special token', async () => {
    const tokenizer = await tokenizerFrom(STORIES, (json) => {
      json.normalizer = null;
      json.pre_tokenizer = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false };
      json.decoder = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false };
    });
    const [, time] = tokenizer.encodePrompt('time');
    const bare = tokenizer.encodeContinuation('time');
    expect(tokenizer.tokenText(time)).toBe(' time');
    expect(bare).not.toEqual([time]);
    expect(tokenizer.encodeTemplated('time</s>time')).toEqual([time, 2, ...bare]);
    expect(tokenizer.decode(tokenizer.encodeContinuation(' time'))).toBe(' time');
  });
});

describe('a byte-level tokenizer (Llama-3 style)', () => {
  it('gives text back and never makes special tokens of text', () => {
    const text = ' hé 🙂\n\n<|eot_id|> x';
    const ids = llama3.encodeContinuation(text, 'text');
    expect(llama3.decode(ids)).toBe(text);
    expect(ids).not.toContain(llama3.eosId);
  });

  it('encodes templated text between special tokens in one piece', () => {
    const ids = llama3.encodeTemplated('the cat<|eot_id|>the dog');
    const the = llama3.encodeContinuation('the cat');
    const dog = llama3.encodeContinuation('the dog');
    expect(ids).toEqual([...the, llama3.eosId, ...dog]);
    expect(llama3.vocabSize).toBe(358);
  });

  it('takes further EOS ids from generation_config.json and a template from chat_template.jinja', async () => {
    const tokenizer = await tokenizerFrom(LLAMA3, (_, config, files) => {
      config.chat_template = undefined;
      files['m/generation_config.json'] = '{"eos_token_id": [353, 356]}';
      files['m/chat_template.jinja'] = 'hello';
    });
    expect(tokenizer.eosIds).toEqual([356, 353]);
    expect(tokenizer.chatTemplate).toBe('hello');
  });
});

describe('blanks around special tokens', () => {
  it('are swallowed by tokens with lstrip or rstrip', async () => {
    const tokenizer = await tokenizerFrom(LLAMA3, (json) => {
      for (const token of json.added_tokens as { content: string; rstrip: boolean }[]) {
        if (token.content === '<|eot_id|>') token.rstrip = true;
      }
    });
    const x = tokenizer.encodeContinuation('x');
    expect(tokenizer.encodeTemplated('x <|eot_id|>\n x')).toEqual([
      ...tokenizer.encodeContinuation('x '),
      356,
      ...x,
    ]);
  });
});

describe('a chat template of the configuration', () => {
  const files = memoryFiles({
    'm/tokenizer.json': readFileSync(new URL('tokenizer.json', LLAMA3), 'utf8'),
    'm/tokenizer_config.json': readFileSync(new URL('tokenizer_config.json', LLAMA3), 'utf8'),
    'chat.jinja': '{{ messages[0].content }}',
  });

  it('replaces the one of the directory, from a file or as text', async () => {
    const own = await loadTokenizer(files, 'm');
    const fromFile = await loadTokenizer(files, 'm', 'chat.jinja');
    const fromText = await loadTokenizer(files, 'm', '{{ messages[0].content }}');
    expect(own.chatTemplate).toContain('start_header_id');
    expect(fromFile.chatTemplate).toBe('{{ messages[0].content }}');
    expect(fromText.chatTemplate).toBe(fromFile.chatTemplate);
    expect(fromFile.fingerprintText).not.toBe(own.fingerprintText);
  });

  it('names a file that is not there', async () => {
    await expect(loadTokenizer(files, 'm', 'chatml.jinja')).rejects.toThrow(
      /^chatml\.jinja: no such file; a chat template is the path of a Jinja file, or its text/,
    );
  });
});

describe('loading', () => {
  it('says which file is missing or broken', async () => {
    await expect(loadTokenizer(memoryFiles({}), 'model')).rejects.toThrow(
      /model\/tokenizer\.json: no such file/,
    );
    await expect(loadTokenizer(memoryFiles({ 'm/tokenizer.json': '{' }), 'm')).rejects.toThrow(
      /not valid JSON/,
    );
    await expect(loadTokenizer(memoryFiles({ 'm/tokenizer.json': '{}' }), 'm')).rejects.toThrow(
      /cannot be used/,
    );
  });
});
