/** From the page's texts to token ids and back. */
import { ChatTemplate } from '../../src/data/chat-template.ts';
import type { DifferenceMethod } from '../../src/data/differences.ts';
import type { PairExample } from '../../src/data/examples.ts';
import { readRows } from '../../src/data/jsonl.ts';
import type { ReadFiles } from '../../src/data/load-tokenizer.ts';
import { type DataRow, readRow } from '../../src/data/rows.ts';
import { RowTokenizer } from '../../src/data/tokenize.ts';
import type { Tokenizer } from '../../src/data/tokenizer.ts';
import { InputError } from '../../src/errors.ts';
import type { PairText } from './protocol.ts';

export interface PairLimits {
  readonly maxPositions: number;
  readonly vocabSize: number;
  readonly diff: DifferenceMethod;
}

/** A pair as tokens, and how many tokens of each answer the model has no positions for. */
export interface TokenizedPair {
  readonly example: PairExample;
  readonly lost: { readonly chosen: number; readonly rejected: number };
}

/** @throws InputError where the answers are the same tokens or the prompt fills all positions */
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
  const lost = (side: 'chosen' | 'rejected') => full[side].ids.length - example[side].ids.length;
  return { example, lost: { chosen: lost('chosen'), rejected: lost('rejected') } };
}

/**
 * The rows of a file as texts. Conversations are written out by the tokenizer's chat template.
 * @throws InputError with file and line
 */
export async function readPairTexts(
  files: ReadFiles,
  path: string,
  tokenizer: Tokenizer | undefined,
): Promise<PairText[]> {
  const pairs: PairText[] = [];
  let template: ChatTemplate | undefined;
  for await (const raw of readRows(files, path)) {
    const { texts, file, line } = readRow(raw, { expects: 'paired' });
    if (!texts.conversational) {
      pairs.push({ prompt: texts.prompt, chosen: texts.answers[0], rejected: texts.answers[1] });
      continue;
    }
    if (tokenizer === undefined) {
      throw new InputError(
        `${file}:${line}: the row is a conversation, which only a model's chat template can write out. Load a model first.`,
      );
    }
    template ??= new ChatTemplate(tokenizer);
    const chat = template.encode(texts.prompt, texts.answers, { file, line });
    // The BOS comes back when the text is tokenized.
    const ids = chat.promptIds[0] === tokenizer.bosId ? chat.promptIds.slice(1) : chat.promptIds;
    pairs.push({ prompt: tokenizer.decode(ids), chosen: chat.texts[0], rejected: chat.texts[1] });
  }
  if (pairs.length === 0) throw new InputError(`${path}: the file has no rows.`);
  return pairs;
}
