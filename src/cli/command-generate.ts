/** `prefgrad generate`. */
import type { Command } from 'commander';
import type { Columns } from '../data/columns.ts';
import { InputError } from '../errors.ts';
import type { Cli, GlobalOptions } from './context.ts';
import { EXIT_CODES } from './failure.ts';
import { numberFrom, repeated, wholeNumber } from './options.ts';
import { columnOf, errorOrSkip } from './pipelines/options.ts';

interface Options extends GlobalOptions {
  readonly model: string;
  readonly adapter?: string;
  readonly prompt?: string[];
  readonly prompts?: string;
  readonly out?: string;
  readonly resume?: boolean;
  readonly force?: boolean;
  readonly onBadRow: 'error' | 'skip';
  readonly column?: Columns;
  readonly maxNewTokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly seed: number;
  readonly stop?: string[];
  readonly batchSize: number;
}

export function addGenerate(program: Command, cli: Cli): void {
  program
    .command('generate')
    .summary('continue prompts with a model')
    .description(
      'Continues prompts, greedily unless a temperature is given. A text depends on the seed and on the number of its ' +
        'prompt, and on nothing else: not on the batch size. Rows may be of any form that train takes, and go through ' +
        "the tokenizer's chat template where they are conversations; each is written with its completion as soon as " +
        'those before it are done. Rows that cannot be used are left out and listed.',
    )
    .requiredOption('--model <DIR>', 'model directory')
    .option('--adapter <DIR>', 'directory of a PEFT LoRA adapter for that model')
    .option('--prompt <TEXT>', 'text to continue, to stdout; repeatable', repeated)
    .option('--prompts <FILE>', 'rows to continue: JSON Lines, JSON or Parquet, also compressed')
    .option('--out <FILE.jsonl>', 'where the rows go, with completion, finish_reason and token_ids')
    .option('--resume', 'go on with an output that is not complete')
    .option('--force', 'replace an output that is there')
    .option('--on-bad-row <error|skip>', 'whether bad rows make the exit code 2', errorOrSkip, 'error')
    .option(
      '--column <FIELD=NAME>',
      'column that holds a field, such as prompt=problem; repeatable',
      columnOf,
    )
    .option('--max-new-tokens <COUNT>', 'most tokens per continuation', wholeNumber(1), 128)
    .option(
      '--temperature <NUMBER>',
      '0 takes the most probable token; 1 samples from the model',
      numberFrom(0),
      0,
    )
    .option(
      '--top-k <COUNT>',
      'sample among this many of the most probable tokens; 0: all',
      wholeNumber(0),
      0,
    )
    .option('--top-p <SHARE>', 'sample among the most probable tokens of this share', numberFrom(1e-6, 1), 1)
    .option(
      '--min-p <SHARE>',
      'sample among tokens with this share of the largest probability',
      numberFrom(0, 1),
      0,
    )
    .option(
      '--repetition-penalty <NUMBER>',
      'makes tokens of the text so far less likely',
      numberFrom(1e-6),
      1,
    )
    .option('--seed <NUMBER>', 'seed of the samples', wholeNumber(0), 42)
    .option('--stop <TEXT>', 'string that ends a continuation and is no part of it; repeatable', repeated)
    .option('--batch-size <COUNT>', 'prompts continued at the same time', wholeNumber(1), 8)
    .addHelpText(
      'after',
      `
Examples:
  prefgrad generate --model examples/stories260K --prompt "Once upon a time"
  prefgrad generate --model runs/dpo/model --prompts prompts.jsonl --temperature 0.8 --top-p 0.95 --out samples.jsonl
  prefgrad generate --model runs/dpo/model --prompts prompts.jsonl --temperature 0.8 --top-p 0.95 --out samples.jsonl --resume

${EXIT_CODES}`,
    )
    .action(async (_: unknown, command: Command) => {
      const { prompt = [], prompts, out, stop = [], ...options } = command.optsWithGlobals<Options>();
      if (prompt.length === 0 && prompts === undefined)
        throw new InputError('There is nothing to continue; give --prompt TEXT or --prompts FILE.');
      if (prompt.length > 0 && prompts !== undefined)
        throw new InputError('Give either --prompt TEXT or --prompts FILE.');
      const settings = { ...options, stop };
      if (prompts === undefined) {
        if (out !== undefined)
          throw new InputError('--out is for --prompts; texts of --prompt go to stdout.');
        const { generateTexts } = await import('./generate-texts.ts');
        await generateTexts(cli, await cli.runtime(), prompt, settings);
        return;
      }
      if (out === undefined) throw new InputError('Rows need a place: give --out FILE.jsonl.');
      const { generateRows } = await import('./generate-rows.ts');
      const { resume = false, force = false } = options;
      await generateRows(cli, await cli.runtime(), { ...settings, prompts, out, resume, force });
    });
}
