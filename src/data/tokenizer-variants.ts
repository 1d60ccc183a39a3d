/**
 * Three readings of one tokenizer.json, so that the library does each of our jobs exactly: encoding a text from its
 * beginning, encoding a text that continues another one, and decoding without losing a leading space.
 */

import { Tokenizer as Library } from '@huggingface/tokenizers';
import { InputError } from '../errors.ts';
import { isObject, type JsonObject, reason } from './json.ts';
import type { SpecialToken } from './special-strings.ts';

/** The readings, and what is known about how the tokenizer marks the start of a text. */
export interface Variants {
  /** Encodes as the tokenizer does, space mark included. Knows no special tokens, so text never becomes one. */
  readonly start: Library;
  /** The same without the space mark that SentencePiece tokenizers put before every text. */
  readonly continuation: Library;
  /** The mark stands only at the very start (Metaspace 'first'), not after every special token. */
  readonly firstOnly: boolean;
  /** True when `start` adds a space mark, so that decoding from a start drops one space. */
  readonly addsMark: boolean;
}

/** Builds the readings. The vocabulary is loaded once and shared. Throws `InputError` for what the library lacks. */
export function buildVariants(
  json: JsonObject,
  config: JsonObject,
  specials: readonly SpecialToken[],
  unknown: string | undefined,
  name: string,
): Variants {
  const hidden = new Set(specials.map((token) => token.content).filter((content) => content !== unknown));
  const added = Array.isArray(json.added_tokens) ? json.added_tokens : [];
  const ordinary = added.filter((token) => isObject(token) && !hidden.has(String(token.content)));
  const decoder = rewrite(json.decoder, decoderWithoutStrip);
  const base = { ...json, decoder, added_tokens: ordinary };
  const settings = { ...config, clean_up_tokenization_spaces: false };
  const seen = { first: false, mark: false };
  const unmarked = {
    ...base,
    normalizer: rewrite(json.normalizer, (node) => normalizerWithoutMark(node, seen)),
    pre_tokenizer: rewrite(json.pre_tokenizer, (node) => preTokenizerWithoutMark(node, seen)),
    model: { type: 'BPE', vocab: {}, merges: [] },
  };
  try {
    const start = new Library({ ...base, model: withoutPieces(json.model, hidden) }, settings);
    const continuation = new Library(unmarked, { ...settings, remove_space: false });
    continuation.model = start.model;
    return { start, continuation, firstOnly: seen.first, addsMark: seen.mark };
  } catch (error) {
    throw new InputError(`${name}: the tokenizer cannot be used (${reason(error)})`);
  }
}

/** A vocabulary in which text cannot spell a special token: without the pieces, or (Unigram) with them renamed. */
function withoutPieces(model: unknown, hidden: ReadonlySet<string>): unknown {
  if (!isObject(model)) return model;
  if (Array.isArray(model.vocab)) {
    const vocab = model.vocab.map((entry: unknown) =>
      Array.isArray(entry) && hidden.has(String(entry[0])) ? [`\u{10FFFF}${entry[0]}`, entry[1]] : entry,
    );
    return { ...model, vocab };
  }
  if (!isObject(model.vocab)) return model;
  return {
    ...model,
    vocab: Object.fromEntries(Object.entries(model.vocab).filter(([key]) => !hidden.has(key))),
  };
}

/** Applies `edit` to every component of a (nested) sequence; null removes the component. */
function rewrite(node: unknown, edit: (node: JsonObject) => JsonObject | null): unknown {
  if (!isObject(node)) return node ?? null;
  for (const key of ['normalizers', 'pretokenizers', 'decoders']) {
    const parts = node[key];
    if (node.type === 'Sequence' && Array.isArray(parts)) {
      return {
        ...node,
        [key]: parts.map((part: unknown) => rewrite(part, edit)).filter((part) => part !== null),
      };
    }
  }
  return edit(node);
}

function normalizerWithoutMark(node: JsonObject, seen: { mark: boolean }): JsonObject | null {
  if (node.type !== 'Prepend') return node;
  seen.mark = true;
  return null;
}

function preTokenizerWithoutMark(node: JsonObject, seen: { first: boolean; mark: boolean }): JsonObject {
  if (node.type === 'Metaspace') {
    const scheme = node.prepend_scheme ?? (node.add_prefix_space === false ? 'never' : 'always');
    if (scheme === 'first') seen.first = true;
    if (scheme !== 'never') seen.mark = true;
    return { ...node, prepend_scheme: 'never', add_prefix_space: false };
  }
  if (node.type === 'ByteLevel' && node.add_prefix_space === true) {
    seen.mark = true;
    return { ...node, add_prefix_space: false };
  }
  return node;
}

/** Decoders that drop the space a mark at the start decodes to; ours keep it, and `decode` drops it when asked. */
function decoderWithoutStrip(node: JsonObject): JsonObject {
  if (node.type === 'Strip' && node.content === ' ') return { ...node, start: 0 };
  if (node.type === 'Metaspace') {
    return { type: 'Replace', pattern: { String: node.replacement ?? '\u2581' }, content: ' ' };
  }
  return node;
}
