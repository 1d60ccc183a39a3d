/** `prefgrad score`. */
import { type Command, Option } from 'commander';
import type { Columns } from '../data/columns.ts';
import type { DataFormat } from '../data/formats.ts';
import type { Truncation } from '../data/truncation.ts';
import type { BmcSettings } from '../objectives/token-weights/bmc.ts';
import type { Cli, GlobalOptions } from './context.ts';
import { EXIT_CODES } from './failure.ts';
import { adapterOptions, assignments, numberFrom, wholeNumber } from './options.ts';
import { loadScore } from './score-options.ts';

interface Options extends GlobalOptions {
  readonly model: string;
  readonly adapter?: string;
  readonly adapterDir?: string;
  readonly reference?: string;
  readonly referenceAdapter?: string;
  readonly data: string;
  readonly out: string;
  readonly objective?: string;
  readonly settings?: Record<string, unknown>;
  readonly bmc?: true;
  readonly bmcDelta: number;
  readonly bmcDiff: BmcSettings['diff'];
  readonly bmcReferenceWeights: BmcSettings['reference_weights'];
  readonly maxLength?: number;
  readonly truncation: Truncation;
  readonly columns?: Columns;
  readonly format: DataFormat;
}

export function addScore(program: Command, cli: Cli): void {
  const command = program.command('score');
  for (const option of adapterOptions()) command.addOption(option);
  command
    .summary('token log-probs, rewards and weights of preference rows')
    .description(
      'Writes one JSON line per row of the data, in order: token ids of the prompt, and for chosen and rejected the ' +
        'tokens, their log-probs and which of them differ (diff). --reference adds ref_logps, rewards ' +
        '(beta (logp - ref_logp)) and the margin; --bmc adds the token weights; --objective adds contributions, the ' +
        "per-token terms whose sum is that objective's logged reward. Memory does not grow with the file.",
    )
    .requiredOption('--model <DIR>', 'model to score with')
    .requiredOption('--data <FILE>', 'preference rows, JSON or JSON Lines')
    .requiredOption('--out <FILE.jsonl>', 'where the lines go; appears only when complete')
    .option('--reference <DIR>', 'reference model')
    .option(
      '--reference-adapter <DIR>',
      "PEFT LoRA adapter of the reference; without --reference it is on the model's own base",
    )
    .option(
      '--objective <NAME>',
      'objective whose contributions are wanted; "prefgrad objectives" lists them',
    )
    .option(
      '--settings <NAME=VALUE>',
      "one of the objective's settings, such as beta=0.1; repeatable",
      assignments,
    )
    .option('--bmc', "write BMC's token weights, and weight the contributions by them")
    .option('--bmc-delta <NUMBER>', 'upper bound of the confidence weight', numberFrom(0), 2)
    .addOption(
      new Option('--bmc-diff <METHOD>', 'how differing tokens are found')
        .choices(['levenshtein', 'difflib'])
        .default('levenshtein'),
    )
    .addOption(
      new Option('--bmc-reference-weights <WHOSE>', 'whose probabilities weight the reference terms')
        .choices(['policy', 'reference'])
        .default('policy'),
    )
    .option(
      '--max-length <TOKENS>',
      'cut rows to this many tokens; without it nothing is cut',
      wholeNumber(2),
    )
    .addOption(
      new Option('--truncation <SIDE>', 'what a cut row keeps')
        .choices(['keep_start', 'keep_end'])
        .default('keep_start'),
    )
    .option('--columns <FIELD=NAME>', 'read a field from a column of another name; repeatable', assignments)
    .addOption(
      new Option('--format <FORM>', 'form of the rows').choices(['auto', 'trl', 'sharegpt']).default('auto'),
    )
    .addHelpText(
      'after',
      `
Examples:
  prefgrad score --model runs/dpo/model --data pairs.jsonl --out logps.jsonl
  prefgrad score --model runs/dpo/model --reference base --data pairs.jsonl --objective dpo --settings beta=0.05 \\
    --bmc --out rewards.jsonl

${EXIT_CODES}`,
    )
    .action(async () => {
      const options = command.optsWithGlobals<Options>();
      const { scoreFile } = await loadScore();
      const { objective, settings = {}, columns = {}, bmc } = options;
      const weights: BmcSettings = {
        delta: options.bmcDelta,
        diff: options.bmcDiff,
        reference_weights: options.bmcReferenceWeights,
      };
      const report = await scoreFile(await cli.runtime(), {
        model: options.model,
        adapter: options.adapter ?? options.adapterDir,
        reference: options.reference,
        referenceAdapter: options.referenceAdapter,
        data: options.data,
        out: options.out,
        objective: objective === undefined ? undefined : { name: objective, settings },
        bmc: bmc ? weights : undefined,
        maxLength: options.maxLength,
        truncation: options.truncation,
        columns,
        format: options.format,
        device: options.device,
      });
      cli.err(`${report.kept} of ${report.rows} rows scored: ${options.out}\n`);
    });
}
