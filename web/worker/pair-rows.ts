/** Rows of a file as the page's texts. */
import { ChatTemplate, type ReadFiles, readRow, readRows, type Tokenizer } from '../../src/engine.ts';
import { InputError } from '../../src/index.ts';
import type { PairText } from './protocol.ts';

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
