import { describe, expect, it } from 'vitest';
import { ChatTemplate } from '../../src/data/chat-template.ts';
import type { Turn } from '../../src/data/conversations.ts';
import { CHATML, LLAMA3, STORIES, tokenizerFrom } from './tokenizers.ts';

const where = { file: 'd.jsonl', line: 3 };
const llama3 = await tokenizerFrom(LLAMA3);
const template = new ChatTemplate(llama3);
const user = (content: string): Turn => ({ role: 'user', content });
const bot = (content: string): Turn => ({ role: 'assistant', content });
const count = (ids: readonly number[], id: number | undefined) => ids.filter((other) => other === id).length;

async function withTemplate(source: string, folder = LLAMA3) {
  return new ChatTemplate(
    await tokenizerFrom(folder, (_, config) => {
      config.chat_template = source;
    }),
  );
}

describe('a Llama-3-style conversation', () => {
  const prompt = [{ role: 'system', content: 'be kind' }, user('how are you?')];
  const chat = template.encode(prompt, [[bot('fine')], [bot(' no answer ')]], where);

  it('has exactly one BOS, at its start', () => {
    expect(chat.promptIds[0]).toBe(llama3.bosId);
    expect(count([...chat.promptIds, ...chat.answerIds[0]], llama3.bosId)).toBe(1);
  });

  it('ends every response with exactly one end of turn', () => {
    for (const ids of chat.answerIds) {
      expect(ids.at(-1)).toBe(llama3.eosId);
      expect(count(ids, llama3.eosId)).toBe(1);
    }
  });

  it('is the template with its generation prompt, and what the template adds for the answer', () => {
    expect(chat.promptText).toBe(
      '<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nbe kind<|eot_id|>' +
        '<|start_header_id|>user<|end_header_id|>\n\nhow are you?<|eot_id|>' +
        '<|start_header_id|>assistant<|end_header_id|>\n\n',
    );
    expect(chat.texts).toEqual(['fine<|eot_id|>', 'no answer<|eot_id|>']);
    expect(llama3.decode(chat.promptIds)).toBe(chat.promptText);
  });

  it('is encoded like the whole text, since the boundary falls between pieces', () => {
    const whole = llama3.encodeTemplated(chat.promptText + chat.texts[0]);
    expect([...chat.promptIds, ...chat.answerIds[0]]).toEqual(whole);
  });
});

describe('special-token strings in user text', () => {
  const tricky = [
    '<|eot_id|>',
    '  say <|eot_id|><|eot_id|> now  ',
    '<|begin_of_text|>hi',
    '<<|eot_id|>',
    'half <|eot_id',
    'x <',
    '> quoted',
    '|eot_id|>',
    '\uE000<|eot_id|>\uE001',
  ];
  it.each(tricky)('stay text: %j', (text) => {
    const clean = template.encode([user('a')], [[bot('b')]], where);
    const { promptIds, answerIds, promptText, texts } = template.encode([user(text)], [[bot(text)]], where);
    const specials = llama3.specials.tokens.map((token) => token.id);
    const only = (ids: readonly number[]) => ids.filter((id) => specials.includes(id));
    expect(only(promptIds)).toEqual(only(clean.promptIds));
    expect(only(answerIds[0])).toEqual([llama3.eosId]);
    expect(llama3.decode(promptIds)).toBe(promptText);
    expect(promptText).toContain(`\n\n${text.trim()}<|eot_id|>`);
    expect(texts[0]).toBe(`${text.trim()}<|eot_id|>`);
  });

  it('cannot complete a special token together with the template', async () => {
    const glue = await withTemplate(
      "{{ '<' + messages[0].content + '>' }}{% if not add_generation_prompt %}{{ messages[1].content }}{% endif %}",
    );
    for (const text of ['|eot_id|', '|eot_id|>', '<|eot_id|']) {
      expect(glue.encode([user(text)], [[bot('ok')]], where).promptIds).not.toContain(llama3.eosId);
    }
  });

  it('are refused in a role', () => {
    expect(() => template.encode([{ role: '<|eot_id|>', content: 'x' }], [[bot('y')]], where)).toThrow(
      /d\.jsonl:3: the role '<\|eot_id\|>' contains a special token/,
    );
  });
});

describe('the boundary with a SentencePiece-style tokenizer', () => {
  it('behind plain text the answer gets no space mark; behind a special token it begins anew', async () => {
    const chatml = await withTemplate(CHATML, STORIES);
    const stories = await tokenizerFrom(STORIES);
    const { answerIds, texts } = chatml.encode([user('Once')], [[bot('time')]], where);
    expect(texts).toEqual(['time<|im_end|>\n']);
    expect(stories.decode(answerIds[0])).toBe('time<|im_end|>\n');

    const bare = await withTemplate("{% for m in messages %}{{ m.content + '</s>' }}{% endfor %}", STORIES);
    const [time] = bare.encode([user('Once')], [[bot('time')]], where).answerIds[0];
    expect(stories.tokenText(time)).toBe(' time');
  });
});

describe('errors', () => {
  it('a tokenizer without a template', async () => {
    const stories = await tokenizerFrom(STORIES);
    expect(() => new ChatTemplate(stories)).toThrow(
      /tokenizer\.json: the data is conversational, but the tokenizer has no chat_template; /,
    );
  });

  it('a template that does not compile', async () => {
    await expect(withTemplate('{% if %}')).rejects.toThrow(/the chat template does not compile/);
  });

  it('a conversation the template refuses', async () => {
    const strict = await withTemplate("{{ raise_exception('no system role') }}");
    expect(() => strict.encode([user('x')], [[bot('y')]], where)).toThrow(/^d\.jsonl:3: .*no system role/);
  });

  it('a prompt that is no prefix of the conversation', async () => {
    const odd = await withTemplate("{{ 'a' if add_generation_prompt else 'b' }}");
    expect(() => odd.encode([user('x')], [[bot('y')]], where)).toThrow(
      /^d\.jsonl:3: the chat template \(.+\) writes the prompt differently once the answer is there \("a" against "b" at character 0\)/,
    );
  });
});
