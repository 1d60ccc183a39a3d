/**
 * Weights of response tokens that come with the data (DPO(EW)): one number per token, or weights of character spans.
 */

import { type Field, type RowReader, rowError, type Where } from './columns.ts';
import { isObject, typeName } from './json.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Characters [start, end) of the answer, counted in Unicode code points as Python counts them. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly weight: number;
}

/** One number per response token, or spans; characters outside every span weigh 1. */
export type Weights =
  | { readonly kind: 'tokens'; readonly column: string; readonly values: readonly number[] }
  | { readonly kind: 'spans'; readonly column: string; readonly spans: readonly Span[] };

/** Reads a weights field; undefined where the row has none. */
export function readWeights(row: RowReader, field: Field): Weights | undefined {
  const value = row.get(field);
  if (value === undefined) return undefined;
  const column = row.column(field);
  if (Array.isArray(value) && value.every((entry) => typeof entry === 'number')) {
    return { kind: 'tokens', column, values: value };
  }
  if (Array.isArray(value) && value.every(isSpan)) return { kind: 'spans', column, spans: value };
  throw row.error(
    field,
    Array.isArray(value) ? 'mixes entries that are no weights' : `is ${typeName(value)}`,
    'give a list of numbers, one per token, or a list of {start, end, weight} with 0 <= start < end',
  );
}

function isSpan(value: unknown): value is Span {
  if (!isObject(value)) return false;
  const { start, end, weight } = value;
  return (
    typeof weight === 'number' &&
    typeof start === 'number' &&
    typeof end === 'number' &&
    Number.isInteger(start) &&
    Number.isInteger(end) &&
    0 <= start &&
    start < end
  );
}

/** What weights are spread over. */
export interface WeightTarget {
  readonly tokenizer: Tokenizer;
  /** Response ids, [tokens]. */
  readonly ids: readonly number[];
  /** The text the ids were encoded from. */
  readonly text: string;
  /** UTF-16 offset in that text of the answer's first character (negative: it was trimmed); undefined: not found. */
  readonly answerStart: number | undefined;
  /** True when the last id is an EOS that we added, for which the data may leave the weight out (it is then 1). */
  readonly addedEos: boolean;
}

/** Weights per response token, f32 [tokens]. Throws `InputError` when they do not fit the answer. */
export function spreadWeights(weights: Weights, target: WeightTarget, where: Where): Float32Array {
  if (weights.kind === 'tokens') return tokenWeights(weights.values, target, where, weights.column);
  const { tokenizer, ids, text, answerStart } = target;
  const ends = prefixLengths(tokenizer, ids);
  if (answerStart === undefined || !tokenizer.decode(ids).startsWith(text)) {
    throw rowError(
      where,
      `field '${weights.column}': tokenizer or template change this text, so spans cannot be placed`,
      'give one number per token instead',
    );
  }
  const offset = Math.min(answerStart, codePoints(text.slice(0, Math.max(answerStart, 0))));
  const out = new Float32Array(ids.length).fill(1);
  const textEnd = codePoints(text) - offset;
  for (const { start, end, weight } of weights.spans) {
    if (end > textEnd) {
      throw rowError(
        where,
        `field '${weights.column}': span [${start}, ${end}) ends behind the answer's ${textEnd} characters`,
        'fix the span',
      );
    }
    for (let t = 0; t < ids.length; t++) {
      const from = (ends[t - 1] ?? 0) - offset;
      const to = Math.max((ends[t] ?? 0) - offset, from + 1);
      if (from < end && to > start) out[t] = weight;
    }
  }
  return out;
}

function tokenWeights(
  values: readonly number[],
  target: WeightTarget,
  where: Where,
  column: string,
): Float32Array {
  const tokens = target.ids.length;
  const full = target.addedEos && values.length === tokens - 1 ? [...values, 1] : values;
  if (full.length === tokens) return Float32Array.from(full);
  throw rowError(
    where,
    `field '${column}' has ${values.length} weights for ${tokens} response tokens`,
    'give one per token of the response, or spans {start, end, weight} in characters',
  );
}

/**
 * Characters (code points) covered by the first t + 1 tokens, for every t. A token that holds only part of a
 * character covers none until the character is complete. Linear: decoding is restarted behind complete characters.
 */
function prefixLengths(tokenizer: Tokenizer, ids: readonly number[]): number[] {
  const ends: number[] = [];
  let anchor = 0;
  let done = 0;
  for (let t = 0; t < ids.length; t++) {
    const text = tokenizer.decode(ids.slice(anchor, t + 1));
    const partial = text.endsWith('\uFFFD') && t + 1 - anchor < 4;
    const complete = partial ? text.replace(/\uFFFD+$/, '') : text;
    ends.push(done + codePoints(complete));
    if (partial) continue;
    done += codePoints(complete);
    anchor = t + 1;
  }
  return ends;
}

function codePoints(text: string): number {
  return Array.from(text).length;
}
