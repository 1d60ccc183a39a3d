/**
 * Conversations to tokens. The prompt is the template with its generation prompt; a response is exactly what the
 * template adds when the answer is there, and ends as the template ends it.
 */

import { InputError } from '../errors.ts';
import { LimitError, withTimeLimit } from '../runtime/time-limit.ts';
import { BoundedTemplate, BoundsError } from './bounded-template.ts';
import { rowError, type Where } from './columns.ts';
import type { Turn } from './conversations.ts';
import { reason } from './json.ts';
import type { Tokenizer } from './tokenizer.ts';

/** A conversation as tokens. `texts` are the responses as text, special tokens of the template included. */
export interface EncodedChat {
  readonly promptText: string;
  readonly promptIds: number[];
  readonly texts: string[];
  readonly answerIds: number[][];
}

/** A part of a conversation as the template writes it. */
export interface EncodedPiece {
  readonly text: string;
  readonly ids: number[];
  /** It is a message of the assistant. */
  readonly inLoss: boolean;
}

/** Honest templates take a millisecond. Slow ones may take this long together. */
const SLOW_MS = 200;
const MOST_SLOW_MS = 15_000;

/** The chat template of one tokenizer, compiled. */
export class ChatTemplate {
  readonly #tokenizer: Tokenizer;
  readonly #template: BoundedTemplate;
  readonly #source: string;
  /** Milliseconds of renderings that were slow. */
  #slow = 0;

  /** Throws `InputError` when the tokenizer has no template, or one that does not compile. */
  constructor(tokenizer: Tokenizer) {
    const source = tokenizer.chatTemplate;
    if (source === undefined) {
      throw new InputError(
        `${tokenizer.name}: the data is conversational, but the tokenizer has no chat_template; use the tokenizer of ` +
          'an instruction-tuned model, put a chat_template.jinja beside it, or give prompt and answers as strings',
      );
    }
    this.#tokenizer = tokenizer;
    this.#source = source;
    try {
      this.#template = new BoundedTemplate(source);
    } catch (error) {
      throw new InputError(
        `${tokenizer.templateName}: the chat template does not compile (${reason(error)})`,
      );
    }
  }

  /** The text the template makes of a conversation. `mark` hides special-token strings in the contents (see encode). */
  render(turns: readonly Turn[], addGenerationPrompt: boolean, where: Where, mark?: string): string {
    const messages = mark === undefined ? turns : turns.map((turn) => this.#hide(turn, mark));
    try {
      const variables = {
        ...this.#tokenizer.namedTokens,
        messages,
        add_generation_prompt: addGenerationPrompt,
      };
      const started = performance.now();
      const text = withTimeLimit(
        () => `${where.file}:${where.line}`,
        () => this.#template.render(variables),
      );
      this.#count(performance.now() - started, where);
      return text;
    } catch (error) {
      if (error instanceof LimitError) throw error;
      if (error instanceof BoundsError)
        throw new LimitError(
          `${where.file}:${where.line}: the chat template (${this.#tokenizer.templateName}) goes too far: ${error.message}; ` +
            'use that of a model that you trust',
        );
      throw rowError(
        where,
        `the chat template (${this.#tokenizer.templateName}) refuses this conversation (${reason(error)})`,
        'bring its roles into the order the template wants, or drop the row',
      );
    }
  }

  /** A second for each of a million rows never ends either. @throws LimitError */
  #count(milliseconds: number, { file, line }: Where): void {
    if (milliseconds > SLOW_MS) this.#slow += milliseconds;
    if (this.#slow <= MOST_SLOW_MS) return;
    throw new LimitError(
      `${file}:${line}: the chat template (${this.#tokenizer.templateName}) takes longer than ${SLOW_MS / 1000} s for a ` +
        'conversation, time and again; use that of a model that you trust',
    );
  }

  /**
   * Tokens of a prompt and of each of its answers.
   *
   * What a user wrote must stay text even where it spells a special token. Contents are therefore rendered with a
   * mark (one character found nowhere in the row) inside every such string; trimming and tests in the template see
   * almost the same text. In the result only the template's own special strings are whole; they become tokens, and
   * the marks are removed before the text between them is encoded.
   */
  encode(prompt: readonly Turn[], answers: readonly (readonly Turn[])[], where: Where): EncodedChat {
    this.#checkRoles([...prompt, ...answers.flat()], where);
    const mark = this.#unusedCharacter(JSON.stringify([prompt, answers]));
    const head = this.render(prompt, true, where, mark);
    const tails = answers.map((answer) => {
      const whole = this.render([...prompt, ...answer], false, where, mark);
      if (!whole.startsWith(head)) throw this.#notPrefix(head, whole, mark, where);
      return whole.slice(head.length);
    });
    const continues = !this.#endsWithSpecial(head);
    const text = (marked: string) => marked.replaceAll(mark, '');
    return {
      promptText: text(head),
      promptIds: this.#tokenizer.encodeTemplated(head, { mark }),
      texts: tails.map(text),
      answerIds: tails.map((tail) => this.#tokenizer.encodeTemplated(tail, { mark, continues })),
    };
  }

  /**
   * Tokens of a prompt and of what follows it, cut where the assistant begins and ends to speak: its message is what the
   * template adds to the conversation before it with a generation prompt.
   * @param answer begins and ends with the assistant
   */
  encodeTurns(
    prompt: readonly Turn[],
    answer: readonly Turn[],
    where: Where,
  ): { readonly promptIds: number[]; readonly pieces: EncodedPiece[] } {
    this.#checkRoles([...prompt, ...answer], where);
    const turns = [...prompt, ...answer];
    const mark = this.#unusedCharacter(JSON.stringify(turns));
    const head = this.render(prompt, true, where, mark);
    const pieces: EncodedPiece[] = [];
    let written = head;
    const append = (whole: string, inLoss: boolean) => {
      if (!whole.startsWith(written)) throw this.#notPrefix(written, whole, mark, where);
      const piece = whole.slice(written.length);
      const continues = !this.#endsWithSpecial(written);
      const ids = piece === '' ? [] : this.#tokenizer.encodeTemplated(piece, { mark, continues });
      pieces.push({ text: piece.replaceAll(mark, ''), ids, inLoss });
      written = whole;
    };
    for (let i = prompt.length; i < turns.length; i++) {
      if (turns[i].role !== 'assistant') continue;
      append(this.render(turns.slice(0, i), true, where, mark), false);
      append(this.render(turns.slice(0, i + 1), false, where, mark), true);
    }
    return { promptIds: this.#tokenizer.encodeTemplated(head, { mark }), pieces };
  }

  #checkRoles(turns: readonly Turn[], where: Where): void {
    for (const { role } of turns) {
      if (!this.#tokenizer.specials.occursIn(role)) continue;
      throw rowError(where, `the role '${role}' contains a special token`, "use a role such as 'user'");
    }
  }

  /** Behind a special token a text begins anew, so a tokenizer that marks beginnings marks this one too. */
  #endsWithSpecial(head: string): boolean {
    const last = this.#tokenizer.specials.split(head).at(-1);
    return last === undefined || 'special' in last;
  }

  #hide(turn: Turn, mark: string): Turn {
    const hide = (value: unknown): unknown => {
      if (typeof value === 'string') return this.#tokenizer.specials.hide(value, mark);
      if (Array.isArray(value)) return value.map(hide);
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, hide(inner)]));
    };
    const entries = Object.entries(turn).map(([key, value]) => [key, key === 'role' ? value : hide(value)]);
    return { role: turn.role, content: turn.content, ...Object.fromEntries(entries) };
  }

  /** A private-use character that neither the row nor the template contains. */
  #unusedCharacter(row: string): string {
    for (let code = 0xe000; code <= 0xf8ff; code++) {
      const mark = String.fromCharCode(code);
      const inToken = this.#tokenizer.specials.tokens.some((token) => token.content.includes(mark));
      if (!inToken && !row.includes(mark) && !this.#source.includes(mark)) return mark;
    }
    throw new InputError(
      `${this.#tokenizer.name}: a row uses every private-use character of Unicode; drop it`,
    );
  }

  #notPrefix(head: string, whole: string, mark: string, where: Where): InputError {
    let at = 0;
    while (at < whole.length && head.charAt(at) === whole.charAt(at)) at++;
    const near = (text: string) => JSON.stringify(text.slice(at, at + 24).replaceAll(mark, ''));
    return rowError(
      where,
      `the chat template (${this.#tokenizer.templateName}) writes the prompt differently once the answer is there ` +
        `(${near(head)} against ${near(whole)} at character ${at})`,
      'fix the template so that the prompt with its generation prompt begins the whole conversation',
    );
  }
}
