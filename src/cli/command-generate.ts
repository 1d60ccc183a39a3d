/** `prefgrad generate`. */
import type { Command } from 'commander';
import { InputError } from '../errors.ts';
import type { Cli, GlobalOptions } from './context.ts';
import { EXIT_CODES } from './failure.ts';
import { adapterOptions, numberFrom, repeated, wholeNumber } from './options.ts';

interface Options extends GlobalOptions {
  readonly model: string;
  readonly adapter?: string;
  readonly adapterDir?: string;
  readonly prompt?: string[];
  readonly prompts?: string;
  readonly maxNewTokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly seed: number;
  readonly batchSize: number;
  readonly out?: string;
}

export function addGenerate(program: Command, cli: Cli): void {
  const command = program.command('generate');
  for (const option of adapterOptions()) command.addOption(option);
  command
    .summary('continue prompts with a model')
    .description(
      'Continues prompts, greedily unless a temperature is given. A sample depends on the seed, on the number of ' +
        'its prompt and on nothing else: not on the batch size. Prompts in a file may be conversations; they go ' +
        "through the tokenizer's chat template. Without --out the texts go to stdout.",
    )
    .requiredOption('--model <DIR>', 'model directory')
    .option('--prompt <TEXT>', 'text to continue; repeatable', repeated)
    .option('--prompts <FILE>', "rows with a 'prompt', text or a list of messages; JSON or JSON Lines")
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
    .option(
      '--top-p <SHARE>',
      'sample among the most probable tokens that have this share',
      numberFrom(1e-6, 1),
      1,
    )
    .option('--seed <NUMBER>', 'seed of the samples', wholeNumber(0), 42)
    .option('--batch-size <COUNT>', 'prompts continued at the same time', wholeNumber(1), 8)
    .option('--out <FILE.jsonl>', 'write {"prompt", "completion", "token_ids"} lines here')
    .addHelpText(
      'after',
      `
Examples:
  prefgrad generate --model examples/stories260K --prompt "Once upon a time"
  prefgrad generate --model runs/dpo/model --prompts prompts.jsonl --temperature 0.8 --top-p 0.95 --out samples.jsonl

${EXIT_CODES}`,
    )
    .action(async () => {
      const { prompt = [], prompts, out, adapterDir, ...options } = command.optsWithGlobals<Options>();
      if (prompt.length === 0 && prompts === undefined) {
        throw new InputError('There is nothing to continue; give --prompt TEXT or --prompts FILE.');
      }
      const { continuePrompts, writeContinuations } = await import('./continuations.ts');
      const runtime = await cli.runtime();
      const made = await continuePrompts(runtime, {
        ...options,
        adapter: options.adapter ?? adapterDir,
        texts: prompt,
        file: prompts,
      });
      if (out === undefined) {
        cli.out(made.map(({ prompt: text, completion }) => `${text}${completion}\n`).join('\n'));
        return;
      }
      await writeContinuations(runtime.files, out, made);
      cli.err(`${made.length} continuations: ${out}\n`);
    });
}
