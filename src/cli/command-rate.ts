/** `prefgrad rate`. */
import type { Command } from 'commander';
import type { Cli } from './context.ts';
import { EXIT_CODES } from './failure.ts';
import { numberFrom, wholeNumber } from './options.ts';
import type { RaterOptions } from './pipelines/open-rater.ts';
import { addEndpointOptions, addRowOptions, type RowOptions } from './pipelines/options.ts';

interface Options extends RowOptions, RaterOptions {
  readonly minGap: number;
}

export function addRate(program: Command, cli: Cli): void {
  const command = program
    .command('rate')
    .summary('score sampled answers; best and worst become a pair')
    .description(
      'Scores the answers of a rollout and makes the best one chosen, the worst one rejected. Raters: reward:DIR (a reward ' +
        "model of Hugging Face, with a linear head or ArmoRM's), rule:FILE.mjs (export " +
        'default (prompt, answer, row) => number), command:PROGRAM (reads and writes lines of JSON, such as examples/raters/' +
        'pairrm.py), http:URL (the same as a POST), judge:score and judge:pairwise (a language model at --endpoint).',
    );
  addEndpointOptions(addRowOptions(command))
    .requiredOption('--rater <KIND:WHAT>', 'who rates')
    .option('--min-gap <NUMBER>', 'drop pairs whose scores are nearer than this', numberFrom(0), 0)
    .option('--prompts <NAME|FILE.yaml>', "a judge's prompts", 'judge')
    .option('--max-tokens <COUNT>', 'most tokens per judgment', wholeNumber(1), 1024)
    .addHelpText(
      'after',
      `
Examples:
  prefgrad rate --rows rollouts.jsonl --rater command:"python3 examples/raters/pairrm.py" --out pairs.jsonl
  prefgrad rate --rows rollouts.jsonl --rater judge:pairwise --endpoint gpt.yaml --max-cost 5 --out pairs.jsonl

${EXIT_CODES}`,
    )
    .action(async (_: unknown, made: Command) => {
      const options = made.optsWithGlobals<Options>();
      const { rateStep } = await import('../preferences/rate.ts');
      const { openRater } = await import('./pipelines/open-rater.ts');
      const { runStep } = await import('./pipelines/run-step.ts');
      const runtime = await cli.runtime();
      const { rater, client } = await openRater(runtime, options);
      try {
        const step = rateStep({ rater, minGap: options.minGap, columns: options.column });
        await runStep(cli, runtime, step, options, client);
      } finally {
        await rater.close?.();
        await client?.close();
      }
    });
}
