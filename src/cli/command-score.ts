/** `prefgrad score`. */
import { type Command, Option } from 'commander';
import type { Columns } from '../data/columns.ts';
import { leftText } from '../data/data-report.ts';
import { DATA_FORMATS, type DataFormat } from '../data/formats.ts';
import type { Truncation } from '../data/truncation.ts';
import type { BmcSettings } from '../objectives/token-weights/bmc.ts';
import type { Cli, GlobalOptions } from './context.ts';
import { EXIT, EXIT_CODES } from './failure.ts';
import { listenForInterrupt } from './interrupt.ts';
import { adapterOptions, assignments, numberFrom, wholeNumber } from './options.ts';
import { columnOf } from './pipelines/options.ts';
import { loadScore, type ScoreSummary } from './score-options.ts';
import { scoreProgress } from './score-progress.ts';

/** As many as the kernel keeps. */
const MOST_LIKELY = 5;

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
  readonly kl?: true;
  readonly entropy?: true;
  readonly topK: number;
  readonly epsilon?: number;
  readonly maxLength?: number;
  readonly maxPromptLength?: number;
  readonly truncation: Truncation;
  readonly columns?: Columns;
  readonly format: DataFormat;
  readonly chatTemplate?: string;
  readonly maxRows?: number;
  readonly onBadRow: 'error' | 'skip';
  readonly resume?: true;
  readonly force?: true;
}

export function addScore(program: Command, cli: Cli): void {
  const command = program.command('score');
  for (const option of adapterOptions()) command.addOption(option);
  command
    .summary('token log-probs, rewards and weights of preference rows')
    .description(
      'Writes one JSON line per row of the data, in order: for chosen and rejected the tokens, their log-probs and ' +
        'which of them differ (diff); rows that are dropped say why. --reference adds ref_logps, rewards ' +
        '(beta (logp - ref_logp)), the margin and the loss; --bmc adds the token weights; --objective adds ' +
        "contributions, the per-token terms whose sum is that objective's logged reward. docs/score.schema.json " +
        'describes the file. Memory does not grow with it, and --resume continues one that was interrupted.',
    )
    .requiredOption('--model <DIR>', 'model to score with; a directory or hf:OWNER/NAME')
    .requiredOption(
      '--data <FILE>',
      'preference rows: a file, a pattern, or hf:OWNER/NAME:SPLIT; see docs/data.md',
    )
    .requiredOption('--out <FILE.jsonl[.gz]>', 'where the lines go; appears only when complete')
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
    .option('--kl', 'KL(model || reference) per token')
    .option('--entropy', 'entropy of the next-token distribution per token')
    .addOption(
      new Option('--top-k <COUNT>', `ranks and this many of the most probable tokens, at most ${MOST_LIKELY}`)
        .argParser(wholeNumber(0, MOST_LIKELY))
        .default(0),
    )
    .option(
      '--epsilon <NUMBER>',
      "epsilon-DPO's step and beta per pair, whatever the objective: size of the perturbation",
      numberFrom(1e-6, 0.999),
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
    .option('--max-prompt-length <TOKENS>', 'longer prompts lose their start', wholeNumber(1))
    .option('--max-rows <COUNT>', 'score no more than the first rows', wholeNumber(1))
    .option('--chat-template <FILE>', "Jinja file, or its text, in place of the tokenizer's chat template")
    .addOption(
      new Option(
        '--on-bad-row <WHAT>',
        'error ends at a wrong row; skip gives it a line that says what is wrong',
      )
        .choices(['error', 'skip'])
        .default('error'),
    )
    .option('--resume', 'continue a file that was begun; nothing to do where it is complete')
    .option('--force', 'replace a file that is there')
    .option('--columns <FIELD=NAME>', 'read a field from a column of another name; repeatable', columnOf)
    .addOption(new Option('--format <FORM>', 'form of the rows').choices(DATA_FORMATS).default('auto'))
    .addHelpText(
      'after',
      `
Examples:
  prefgrad score --model runs/dpo/model --data pairs.jsonl --out logps.jsonl
  prefgrad score --model runs/dpo/model --reference base --data pairs.jsonl --objective dpo --settings beta=0.05 \\
    --bmc --out rewards.jsonl
  prefgrad score --model runs/dpo/model --reference base --data hf:OWNER/NAME:test --kl --epsilon 0.01 --out test.jsonl.gz

${EXIT_CODES}`,
    )
    .action(async () => {
      const {
        bmc,
        objective,
        settings = {},
        columns = {},
        topK,
        ...options
      } = command.optsWithGlobals<Options>();
      const { scoreFile } = await loadScore();
      const weights: BmcSettings = {
        delta: options.bmcDelta,
        diff: options.bmcDiff,
        reference_weights: options.bmcReferenceWeights,
      };
      const interrupt = listenForInterrupt(() =>
        cli.err('Finishing this batch; --resume goes on from there. Ctrl-C again stops at once.\n'),
      );
      const progress = scoreProgress({ write: (text) => cli.err(text), terminal: cli.terminal });
      try {
        const summary = await scoreFile(await cli.runtime(), {
          model: options.model,
          adapter: options.adapter ?? options.adapterDir,
          reference: options.reference,
          referenceAdapter: options.referenceAdapter,
          data: options.data,
          out: options.out,
          objective: objective === undefined ? undefined : { name: objective, settings },
          bmc: bmc ? weights : undefined,
          kl: options.kl,
          entropy: options.entropy,
          top: topK,
          epsilon: options.epsilon,
          maxLength: options.maxLength,
          maxPromptLength: options.maxPromptLength,
          truncation: options.truncation,
          columns,
          format: options.format,
          chatTemplate: options.chatTemplate,
          maxRows: options.maxRows,
          onBadRow: options.onBadRow,
          device: options.device,
          resume: options.resume,
          force: options.force,
          progress: progress.show,
          shouldStop: () => interrupt.requested,
        });
        progress.close();
        cli.err(summaryText(summary, options.out));
        if (!summary.finished) cli.exitCode = EXIT.interrupted;
      } finally {
        progress.close();
        interrupt.release();
      }
    });
}

function summaryText(summary: ScoreSummary, out: string): string {
  if (!summary.finished) return `Stopped after ${summary.rows} rows. Continue with --resume.\n`;
  if (summary.rows === 0) return `${out} is complete.\n`;
  return `${summary.kept} of ${summary.rows} rows scored (${leftText(summary)}): ${out}\n`;
}
