/** One pair of texts as tokens, outside any file: what pages and programs hand in. */
import { InputError } from '../errors.ts';
import type { DifferenceMethod } from './differences.ts';
import type { PairExample } from './examples.ts';
import type { DataRow } from './rows.ts';
import { RowTokenizer } from './tokenize.ts';
import type { Tokenizer } from './tokenizer.ts';

/** A prompt and two answers. */
export interface PairText {
  readonly prompt: string;
  readonly chosen: string;
  readonly rejected: string;
}

export interface PairLimits {
  /** Most tokens of prompt and answer together; longer answers lose their ends. */
  readonly maxPositions: number;
  readonly vocabSize: number;
  readonly diff: DifferenceMethod;
}

/** A pair as tokens, and those at the end of each answer that the model has no positions for. */
export interface TokenizedPair {
  readonly example: PairExample;
  readonly cut: { readonly chosen: readonly number[]; readonly rejected: readonly number[] };
}

/**
 * @param line - number of the pair, for messages
 * @throws InputError where the answers are the same tokens or the prompt fills all positions
 */
export function tokenizePair(
  tokenizer: Tokenizer,
  pair: PairText,
  { maxPositions, vocabSize, diff }: PairLimits,
  line = 1,
): TokenizedPair {
  const row: DataRow = {
    kind: 'pair',
    file: 'pair',
    line,
    format: 'trl',
    texts: { conversational: false, prompt: pair.prompt, answers: [pair.chosen, pair.rejected] },
    weights: [undefined, undefined],
  };
  const read = (maxLength?: number) => {
    const settings = { maxLength, truncation: 'keep_start', diff, modelVocabSize: vocabSize } as const;
    const tokenized = new RowTokenizer(tokenizer, settings).tokenize(row, line - 1);
    if ('example' in tokenized && tokenized.example.kind === 'pair') return tokenized.example;
    throw new InputError(
      'dropped' in tokenized && tokenized.dropped === 'too_long'
        ? `The prompt fills all ${maxPositions} positions of the model, so no answer fits behind it. Shorten it.`
        : 'Chosen and rejected are the same tokens, so there is nothing to prefer. Change one of them.',
    );
  };
  const [full, example] = [read(), read(maxPositions)];
  const cut = (side: 'chosen' | 'rejected') => [...full[side].ids.slice(example[side].ids.length)];
  return { example, cut: { chosen: cut('chosen'), rejected: cut('rejected') } };
}
