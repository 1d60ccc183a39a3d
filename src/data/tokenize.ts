/**
 * Rows to tokenized examples.
 */

import { InputError } from '../errors.ts';
import { withTimeLimit } from '../runtime/time-limit.ts';
import { ChatTemplate } from './chat-template.ts';
import { rowError } from './columns.ts';
import type { LossOn } from './completions.ts';
import { type DifferenceMethod, tokenDifferences } from './differences.ts';
import type { Answer, Example } from './examples.ts';
import type { ChatTexts, DataRow, PlainTexts } from './rows.ts';
import type { SpecialText, Tokenizer } from './tokenizer.ts';
import { cutPrompt, fitRow, type Truncation } from './truncation.ts';
import { spreadWeights } from './weights.ts';

/** How rows become tokens. */
export interface TokenizeSettings {
  /** Most tokens of prompt + answer; without it nothing is cut. */
  readonly maxLength?: number;
  /** Most tokens of the prompt; a longer one loses its start, before `maxLength` is looked at. */
  readonly maxPromptLength?: number;
  /** Default 'keep_start'. */
  readonly truncation?: Truncation;
  /** 'assistant_turns': of a conversation's one answer, only the assistant's messages are in the loss. */
  readonly lossOn?: LossOn;
  /** Mark the tokens in which the answers of a pair differ; found on the whole answers, before they are cut. */
  readonly diff?: DifferenceMethod;
  /** Rows of the model's embedding; a larger token id is an `InputError`. */
  readonly modelVocabSize?: number;
  /** Special-token strings in plain rows: 'parse' (default) makes them tokens, as the tokenizer does. */
  readonly plainSpecialText?: SpecialText;
}

/** Why a row gives no example: its answers are the same tokens, or `maxLength` leaves no answer (see `fitRow`). */
export type DropReason = 'identical' | 'too_long';

export type Tokenized = { readonly example: Example } | { readonly dropped: DropReason };

/** A row as ids before anything is cut. */
interface Encoded {
  readonly promptIds: readonly number[];
  readonly answers: readonly {
    readonly ids: readonly number[];
    readonly text: string;
    readonly start: number | undefined;
    readonly addedEos: boolean;
    readonly lossMask?: readonly number[];
  }[];
}

/** Turns rows into examples with one tokenizer. The chat template is compiled when the first conversation comes. */
export class RowTokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #settings: TokenizeSettings;
  #template: ChatTemplate | undefined;

  constructor(tokenizer: Tokenizer, settings: TokenizeSettings = {}) {
    this.#tokenizer = tokenizer;
    this.#settings = settings;
  }

  /** One row; `index` is the position its example gets. Throws `InputError` naming file and line. */
  tokenize(row: DataRow, index: number): Tokenized {
    const {
      maxLength = Number.POSITIVE_INFINITY,
      maxPromptLength = Number.POSITIVE_INFINITY,
      truncation = 'keep_start',
      diff,
      modelVocabSize,
    } = this.#settings;
    const where = () => `${row.file}:${row.line}`;
    const { promptIds: wholePrompt, answers } = withTimeLimit(where, () => this.#encode(row));
    const promptIds = cutPrompt(wholePrompt, maxPromptLength, this.#tokenizer.bosId);
    if (promptIds.length === 0) {
      const why = row.texts.conversational
        ? `the chat template (${this.#tokenizer.templateName}) writes nothing for the prompt`
        : 'the prompt has no tokens, and the tokenizer has no BOS';
      throw rowError(row, why, 'give the row a prompt');
    }
    const cut = fitRow(
      promptIds,
      answers.map((answer) => answer.ids.length),
      maxLength,
      truncation,
      this.#tokenizer.bosId,
    );
    if (cut === null) return { dropped: 'too_long' };
    const lengths = cut.lengths.map((length, i) => lengthWithLoss(answers[i].lossMask, length));
    const ids = answers.map((answer, i) => Int32Array.from(answer.ids.slice(0, lengths[i])));
    const [first, second] = ids;
    if (row.kind === 'pair' && sameIds(first, second)) return { dropped: 'identical' };
    if (modelVocabSize !== undefined) {
      for (const list of [cut.promptIds, ...ids]) this.#tokenizer.checkIds(list, modelVocabSize);
    }
    const masks = this.#masks(row, answers, diff);
    const made = answers.map((answer, i): Answer => {
      const weights = row.weights[i];
      const target = {
        tokenizer: this.#tokenizer,
        ids: answer.ids,
        text: answer.text,
        answerStart: answer.start,
        addedEos: answer.addedEos,
      };
      const length = lengths[i];
      return {
        ids: ids[i],
        ...(answer.lossMask && { lossMask: Uint8Array.from(answer.lossMask.slice(0, length)) }),
        ...(masks && { diff: masks[i].slice(0, length) }),
        ...(weights && { weights: spreadWeights(weights, target, row).slice(0, length) }),
      };
    });
    const common = {
      index,
      line: row.line,
      file: row.file,
      promptIds: Int32Array.from(cut.promptIds),
      truncated: cut.truncated || promptIds.length < wholePrompt.length,
    };
    return {
      example:
        row.kind === 'pair'
          ? { kind: 'pair', ...common, chosen: made[0], rejected: made[1] }
          : { kind: 'unpaired', ...common, completion: made[0], label: row.label },
    };
  }

  #masks(
    row: DataRow,
    answers: Encoded['answers'],
    diff: DifferenceMethod | undefined,
  ): Uint8Array[] | undefined {
    if (diff === undefined || row.kind !== 'pair') return undefined;
    const { chosen, rejected } = tokenDifferences(answers[1].ids, answers[0].ids, diff);
    return [chosen, rejected];
  }

  #encode(row: DataRow): Encoded {
    const { texts } = row;
    if (!texts.conversational) return this.#encodePlain(texts);
    this.#template ??= new ChatTemplate(this.#tokenizer);
    if (row.kind === 'unpaired' && this.#settings.lossOn === 'assistant_turns')
      return this.#encodeTurns(this.#template, row, texts);
    const chat = this.#template.encode(texts.prompt, texts.answers, row);
    const answers = chat.answerIds.map((ids, i) => {
      if (ids.length === 0) {
        throw rowError(
          row,
          `the chat template (${this.#tokenizer.templateName}) adds nothing for the answer`,
          'use a template that writes the last assistant message',
        );
      }
      const content = texts.answers[i][0]?.content ?? '';
      const start = answerStart(chat.texts[i], content);
      return { ids, text: chat.texts[i], start, addedEos: false };
    });
    return { promptIds: chat.promptIds, answers };
  }

  /** The assistant's messages are in the loss, what stands between them is not. */
  #encodeTurns(template: ChatTemplate, row: DataRow, { prompt, answers }: ChatTexts): Encoded {
    const { promptIds, pieces } = template.encodeTurns(prompt, answers[0], row);
    const ids = pieces.flatMap((piece) => piece.ids);
    const lossMask = pieces.flatMap((piece) => piece.ids.map(() => (piece.inLoss ? 1 : 0)));
    const text = pieces.map((piece) => piece.text).join('');
    return { promptIds, answers: [{ ids, text, start: undefined, addedEos: false, lossMask }] };
  }

  #encodePlain(texts: PlainTexts): Encoded {
    const { eosId, name } = this.#tokenizer;
    if (eosId === undefined) {
      throw new InputError(
        `${name}: the tokenizer names no eos_token, so a response cannot end; set it in tokenizer_config.json`,
      );
    }
    const { plainSpecialText } = this.#settings;
    const answers = texts.answers.map((text) => {
      const ids = this.#tokenizer.encodeContinuation(text, plainSpecialText);
      const addedEos = ids.at(-1) !== eosId;
      return { ids: addedEos ? [...ids, eosId] : ids, text, start: 0, addedEos };
    });
    return { promptIds: this.#tokenizer.encodePrompt(texts.prompt, plainSpecialText), answers };
  }
}

/** Where the answer begins in what the template wrote; negative by the blanks at its beginning that were trimmed. */
function answerStart(text: string, content: string): number | undefined {
  const at = text.indexOf(content.trim());
  return at < 0 ? undefined : at - (content.length - content.trimStart().length);
}

/** Tokens behind the last one that is in the loss predict nothing. */
function lengthWithLoss(mask: readonly number[] | undefined, length: number): number {
  return mask === undefined ? length : mask.slice(0, length).lastIndexOf(1) + 1;
}

function sameIds(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i]);
}
