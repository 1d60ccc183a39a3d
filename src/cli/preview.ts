/** The first rows of a configuration's data as tokens. */

import { emptyReport } from '../data/data-report.ts';
import type { Answer, Example } from '../data/examples.ts';
import { loadTokenizer } from '../data/load-tokenizer.ts';
import { streamExamples } from '../data/prepare.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { activate } from '../objectives/choice.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import { datasetSettings } from '../train/data.ts';
import { loadConfig } from './config-file.ts';

/** Yields one text per row, then a line on rows that were left out. */
export async function* previewRows(
  files: FileSystem,
  file: string,
  options: { readonly set: readonly string[]; readonly rows: number },
): AsyncGenerator<string> {
  const { config } = await loadConfig(files, file, options.set);
  const { needs } = activate(config.objective);
  const tokenizer = await loadTokenizer(files, config.model.path);
  const report = emptyReport();
  const settings = { ...datasetSettings(config, needs), diff: needs.differences ?? 'levenshtein' } as const;
  const examples = streamExamples({ ...settings, files, path: config.data.train, tokenizer }, report);
  let shown = 0;
  for await (const example of examples) {
    yield exampleText(example, tokenizer, config.data.train);
    if (++shown === options.rows) break;
  }
  const { rows, identical, tooLong } = report;
  if (identical + tooLong > 0) {
    yield `Of the first ${rows} rows, ${identical} have identical answers and ${tooLong} are too long; both are left out.\n`;
  }
}

/** A row: where it stands, then prompt and answers, each token as 'id text'. */
export function exampleText(example: Example, tokenizer: Tokenizer, file: string): string {
  const cut = example.truncated ? ', cut to max_length' : '';
  const answers: [string, Answer][] =
    example.kind === 'pair'
      ? [
          ['chosen', example.chosen],
          ['rejected', example.rejected],
        ]
      : [[example.label ? 'desirable completion' : 'undesirable completion', example.completion]];
  return [
    `${file}:${example.line}${cut}`,
    `  prompt, ${example.promptIds.length} tokens, no loss`,
    tokensText(example.promptIds, undefined, tokenizer),
    ...answers.flatMap(([name, { ids, diff }]) => {
      const differing = diff?.reduce((sum, flag) => sum + flag, 0);
      const marked = differing === undefined ? '' : `, ${differing} marked * differ`;
      return [`  ${name}, ${ids.length} tokens, all in the loss${marked}`, tokensText(ids, diff, tokenizer)];
    }),
    '',
  ].join('\n');
}

const WIDTH = 110;

/** Tokens in lines of at most 110 columns. */
function tokensText(ids: Int32Array, diff: Uint8Array | undefined, tokenizer: Tokenizer): string {
  const lines: string[] = [];
  let line = '   ';
  Array.from(ids).forEach((id, i) => {
    const cell = ` ${diff?.[i] ? '*' : ''}${id}:${JSON.stringify(tokenizer.tokenText(id))}`;
    if (line.length + cell.length > WIDTH) {
      lines.push(line);
      line = '   ';
    }
    line += cell;
  });
  return [...lines, line].join('\n');
}
