/**
 * Text to token ids and back, on @huggingface/tokenizers. What we add is the boundary between prompt and response:
 * a response continues its prompt, so it gets no BOS and no space mark of its own, and text that a user typed never
 * becomes a special token when it goes through a chat template.
 */

import { InputError } from '../errors.ts';
import { withTimeLimit } from '../runtime/time-limit.ts';
import { reason } from './json.ts';
import type { SpecialStrings } from './special-strings.ts';
import { isTokenId } from './tokenizer-checks.ts';
import type { Variants } from './tokenizer-variants.ts';

/** What to do with special-token strings in plain text: make them tokens, as the tokenizer does, or leave them text. */
export type SpecialText = 'parse' | 'text';

/** The parts of which `loadTokenizer` builds a `Tokenizer`. */
export interface TokenizerParts {
  readonly name: string;
  /** @internal */
  readonly variants: Variants;
  readonly specials: SpecialStrings;
  /** Ids the tokenizer's post-processor puts before a text, after `add_bos_token` had its say. */
  readonly prefix: readonly number[];
  readonly bosId: number | undefined;
  readonly eosIds: readonly number[];
  readonly chatTemplate: string | undefined;
  /** Where the chat template stands, for messages. */
  readonly templateName: string;
  /** Special tokens by the name templates use: bos_token, eos_token, ... */
  readonly namedTokens: Readonly<Record<string, string>>;
  readonly fingerprintText: string;
}

/** How templated text is encoded. */
export interface TemplatedOptions {
  /** The character with which `SpecialStrings.hide` broke special strings in user text; removed before encoding. */
  readonly mark?: string;
  /** The text continues other text (not a special token): its beginning gets no space mark. */
  readonly continues?: boolean;
}

/** How ids become text. */
export interface DecodeOptions {
  /** The ids begin a text: drop the one space that the tokenizer's own mark would decode to. */
  readonly atStart?: boolean;
  /** Leave special tokens out of the text. */
  readonly skipSpecial?: boolean;
}

export class Tokenizer {
  /** Path of the tokenizer.json, for messages. */
  readonly name: string;
  /** Largest id + 1, added tokens included. The model's embedding may be larger, never smaller. */
  readonly vocabSize: number;
  readonly bosId: number | undefined;
  /** The id that ends plain responses; undefined when the tokenizer names none. */
  readonly eosId: number | undefined;
  /** Every id that ends a generation: `eosId` and the ids in generation_config.json. */
  readonly eosIds: readonly number[];
  /** The default chat template (Jinja source), if there is one. */
  readonly chatTemplate: string | undefined;
  /** Where it stands, for messages. */
  readonly templateName: string;
  readonly namedTokens: Readonly<Record<string, string>>;
  readonly specials: SpecialStrings;
  /** Text that changes when the tokenizer or its template does; hash it to key a cache. */
  readonly fingerprintText: string;
  readonly #variants: Variants;
  readonly #prefix: readonly number[];
  readonly #specialById: ReadonlyMap<number, string>;

  constructor(parts: TokenizerParts) {
    this.name = parts.name;
    this.bosId = parts.bosId;
    this.eosIds = parts.eosIds;
    this.eosId = parts.eosIds[0];
    this.chatTemplate = parts.chatTemplate;
    this.templateName = parts.templateName;
    this.namedTokens = parts.namedTokens;
    this.specials = parts.specials;
    this.fingerprintText = parts.fingerprintText;
    this.#variants = parts.variants;
    this.#prefix = parts.prefix;
    this.#specialById = new Map(parts.specials.tokens.map((token) => [token.id, token.content]));
    const added = [...parts.variants.start.get_added_tokens_decoder().keys(), ...this.#specialById.keys()];
    const pieces = parts.variants.start.model?.vocab.length ?? 0;
    this.vocabSize = added.reduce((size, id) => Math.max(size, id + 1), pieces);
  }

  /** The tokenizer's own encoding of a text, BOS included where it adds one. An EOS it would add is left out. */
  encodePrompt(text: string, specialText: SpecialText = 'parse'): number[] {
    return [...this.#prefix, ...this.#encode(text, specialText, false)];
  }

  /** The ids of text that continues a prompt: no BOS, no EOS, and a space mark only where the text has a space. */
  encodeContinuation(text: string, specialText: SpecialText = 'parse'): number[] {
    return this.#encode(text, specialText, true);
  }

  /**
   * Encodes what a chat template wrote: special-token strings become special tokens, nothing is added, and strings
   * hidden behind `mark` stay text. Between two special tokens the text is encoded in one piece, so merges are those
   * of the whole text.
   */
  encodeTemplated(text: string, { mark = '', continues = false }: TemplatedOptions = {}): number[] {
    return this.specials.split(text).flatMap((section, position) => {
      if ('special' in section) return [section.special.id];
      const plain = mark ? section.text.replaceAll(mark, '') : section.text;
      return this.#section(plain, position, continues);
    });
  }

  /** The text of ids. A leading space is kept, as the text of a continuation needs; see `DecodeOptions`. */
  decode(ids: ArrayLike<number>, { atStart = false, skipSpecial = false }: DecodeOptions = {}): string {
    let text = '';
    let plain: number[] = [];
    let first = true;
    const flush = () => {
      if (plain.length === 0) return;
      const piece = this.#variants.start.decode(plain);
      const drops = atStart && first && this.#variants.addsMark && piece.startsWith(' ');
      text += drops ? piece.slice(1) : piece;
      first = false;
      plain = [];
    };
    for (const id of Array.from(ids)) {
      const special = this.#specialById.get(id);
      if (special === undefined) {
        plain.push(id);
        continue;
      }
      flush();
      if (!skipSpecial) text += special;
    }
    flush();
    return text;
  }

  /** The visible text of one token: its decoded text, or its raw piece where it is only part of a character. */
  tokenText(id: number): string {
    const special = this.#specialById.get(id);
    if (special !== undefined) return special;
    const piece = this.#variants.start.id_to_token(id);
    if (piece === undefined) return `[${id}]`;
    const text = this.#variants.start.decode([id]);
    return text.includes('\uFFFD') ? piece : text;
  }

  /** True when encoding the text of these response ids gives the same ids again (a final EOS is set aside). */
  reencodes(ids: ArrayLike<number>): boolean {
    const list = Array.from(ids);
    const last = list.at(-1);
    if (last !== undefined && this.eosIds.includes(last)) list.pop();
    const again = this.encodeContinuation(this.decode(list));
    return again.length === list.length && again.every((id, i) => id === list[i]);
  }

  /** Throws `InputError` when the model's embedding has no row for some id. */
  checkIds(ids: ArrayLike<number>, modelVocabSize: number): void {
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i] ?? 0;
      if (Number.isInteger(id) && id >= 0 && id < modelVocabSize) continue;
      throw new InputError(
        `${this.name}: token id ${id} ('${this.tokenText(id)}') lies outside the model's vocabulary of ` +
          `${modelVocabSize}; use the tokenizer that belongs to the model`,
      );
    }
  }

  #encode(text: string, specialText: SpecialText, continues: boolean): number[] {
    if (specialText === 'text') return this.#section(text, 0, continues);
    return this.encodeTemplated(text, { continues });
  }

  /** Plain text at some position among the sections of a text. Only a section behind a special token can have position > 0. */
  #section(text: string, position: number, continues: boolean): number[] {
    if (!text) return [];
    const { start, continuation, firstOnly } = this.#variants;
    const unmarked = position === 0 ? continues : firstOnly;
    const library = unmarked ? continuation : start;
    const encode = () => library.encode(text, { add_special_tokens: false }).ids;
    try {
      const ids = withTimeLimit(() => this.name, encode);
      // The library gives undefined for a piece that is not in the vocabulary where that has no unknown token.
      if (ids.every((id) => isTokenId(id))) return ids;
      throw new RangeError('a piece of it is not in the vocabulary, which has no unknown token');
    } catch (error) {
      if (error instanceof InputError) throw error;
      throw new InputError(`${this.name}: the tokenizer cannot encode a text (${reason(error)})`);
    }
  }
}
