/** The first rows of a configuration's data as tokens. */
import { sourcesOf } from '../data/dataset.ts';
import { type Answer, type Example, lossTokens } from '../data/examples.ts';
import { loadTokenizer } from '../data/load-tokenizer.ts';
import { streamOutcomes } from '../data/prepare.ts';
import { type DropReason, RowTokenizer } from '../data/tokenize.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { InputError } from '../errors.ts';
import { locateModel } from '../formats/model-location.ts';
import { activate } from '../objectives/choice.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import { datasetSettings } from '../train/dataset-settings.ts';
import { loadConfig } from './config-file.ts';

/** Yields one text per row of each source, those that are left out included. */
export async function* previewRows(
  files: FileSystem,
  file: string,
  options: { readonly set: readonly string[]; readonly rows: number },
): AsyncGenerator<string> {
  const { config } = await loadConfig(files, file, options.set);
  const { needs } = activate(config.objective);
  const { path: model, adapter } = config.model;
  const { tokenizer: directory } = await locateModel(files, model, adapter);
  const tokenizer = await loadTokenizer(files, directory, config.data.chat_template);
  const settings = { ...datasetSettings(config, needs), diff: needs.differences ?? 'levenshtein' } as const;
  const whole = new RowTokenizer(tokenizer);
  for (const { path } of sourcesOf(config.data.train)) {
    let shown = 0;
    for await (const outcome of streamOutcomes({ ...settings, files, path, tokenizer, limit: undefined })) {
      if (outcome.kind === 'example') {
        const full = whole.tokenize(outcome.row, 0);
        const { format, texts } = outcome.row;
        const form = `${format}, ${texts.conversational ? templateName(config.data.chat_template) : 'plain text'}`;
        yield exampleText(outcome.example, tokenizer, form, 'example' in full ? full.example : undefined);
      } else {
        if (outcome.kind === 'bad' && config.data.on_bad_row === 'error') throw outcome.error;
        // The message of a wrong row says where it stands.
        yield outcome.kind === 'bad'
          ? `left out: ${outcome.error.message}\n`
          : `left out: ${outcome.file}:${outcome.line}: ${DROPPED[outcome.reason]}\n`;
      }
      if (++shown === options.rows) break;
    }
    if (shown === 0) throw new InputError(`${path}: has no rows`);
  }
}

const DROPPED: Readonly<Record<DropReason, string>> = {
  identical: 'both answers are the same tokens',
  too_long: 'data.max_length leaves no place for an answer',
};

function templateName(chosen: string | undefined): string {
  if (chosen === undefined) return "the tokenizer's chat template";
  return /[{\n]/.test(chosen) ? 'the chat template of the configuration' : `chat template ${chosen}`;
}

/**
 * A row: where it stands and what it was read as, then prompt and answers, each token as 'id:"text"'.
 * @param full the same before anything was cut
 */
export function exampleText(
  example: Example,
  tokenizer: Tokenizer,
  form: string,
  full: Example = example,
): string {
  const [parts, before] = [answersOf(example), answersOf(full)];
  const cutPrompt = full.promptIds.length - example.promptIds.length;
  return [
    `${example.file ?? 'row'}:${example.line}: ${form}`,
    `  prompt, ${example.promptIds.length} tokens, no loss${cutPrompt > 0 ? `, ${cutPrompt} cut off its start` : ''}`,
    tokensText(example.promptIds, undefined, tokenizer),
    ...parts.flatMap(([name, answer], i) => {
      const { ids, diff, lossMask } = answer;
      const inLoss = lossMask === undefined ? 'all' : `${lossTokens(answer)} marked +`;
      const differing = diff?.reduce((sum, flag) => sum + flag, 0);
      const marked = differing === undefined ? '' : `, ${differing} marked * differ`;
      const cut = before[i][1].ids.length - ids.length;
      const lost = cut > 0 ? `, ${cut} cut off its end` : '';
      return [
        `  ${name}, ${ids.length} tokens, ${inLoss} in the loss${marked}${lost}`,
        tokensText(ids, diff ? ['*', diff] : lossMask && ['+', lossMask], tokenizer),
      ];
    }),
    '',
  ].join('\n');
}

function answersOf(example: Example): [name: string, answer: Answer][] {
  if (example.kind === 'unpaired') {
    return [[example.label ? 'desirable completion' : 'undesirable completion', example.completion]];
  }
  return [
    ['chosen', example.chosen],
    ['rejected', example.rejected],
  ];
}

const WIDTH = 110;

/** Tokens in lines of at most 110 columns. */
function tokensText(
  ids: Int32Array,
  marks: readonly [sign: string, mask: Uint8Array] | undefined,
  tokenizer: Tokenizer,
): string {
  const lines: string[] = [];
  let line = '   ';
  Array.from(ids).forEach((id, i) => {
    const cell = ` ${marks?.[1][i] ? marks[0] : ''}${id}:${JSON.stringify(tokenizer.tokenText(id))}`;
    if (line.length + cell.length > WIDTH) {
      lines.push(line);
      line = '   ';
    }
    line += cell;
  });
  return [...lines, line].join('\n');
}
