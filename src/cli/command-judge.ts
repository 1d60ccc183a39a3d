/** `prefgrad evaluate alpaca-eval | pairwise | arena-hard | mt-bench | hh`: what a judge or a rater decides. */
import type { Command } from 'commander';
import { InputError } from '../errors.ts';
import type { JudgeModel } from '../evaluate/judges/judge-model.ts';
import { checkOutput } from '../formats/atomic-file.ts';
import type { LlmClient } from '../llm/client.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Cli, GlobalOptions } from './context.ts';
import { adapterOptions, wholeNumber } from './options.ts';
import { addEndpointOptions, type EndpointOptions } from './pipelines/options.ts';

interface JudgeOptions extends GlobalOptions, EndpointOptions {
  readonly out: string;
  readonly force?: boolean;
  readonly prompts: string;
  readonly maxTokens: number;
  readonly seed: number;
}

interface PairOptions extends JudgeOptions {
  readonly answers: string;
  readonly baseline: string;
}

export function addJudges(evaluate: Command, cli: Cli): void {
  addAlpacaEval(evaluate, cli);
  addPairwise(evaluate, cli);
  addArenaHard(evaluate, cli);
  addMtBench(evaluate, cli);
  addHh(evaluate, cli);
}

const print = (cli: Cli, value: unknown): void => cli.out(`${JSON.stringify(value, null, 2)}\n`);

function addAlpacaEval(evaluate: Command, cli: Cli): void {
  evaluate
    .command('alpaca-eval')
    .summary("AlpacaEval 2's numbers from judgments")
    .description(
      'Computes win rate, discrete win rate, length-adjusted win rate and standard errors, in percent, from judgments ' +
        'in AlpacaEval\'s format: "output_1" (baseline), "output_2" (model), "preference" from 1 to 2. "prefgrad ' +
        'evaluate pairwise" makes such judgments.',
    )
    .requiredOption('--annotations <FILE.json>', 'judgments, a JSON array or JSON Lines')
    .requiredOption('--out <FILE.json>', 'where the numbers go')
    .option('--force', 'replace an output that is there')
    .option('--difficulty <FILE.csv>', "AlpacaEval's df_gamed.csv, for the published length control")
    .action(async (options: { annotations: string; out: string; force?: boolean; difficulty?: string }) => {
      const { alpacaEval } = await import('../evaluate/judges/alpaca-eval.ts');
      const { writeJson } = await import('../formats/atomic-file.ts');
      const { files } = await cli.runtime();
      await checkOutput(files, options.out, options.force ?? false);
      const metrics = await alpacaEval(files, options.annotations, options.difficulty);
      await writeJson(files, options.out, metrics);
      print(cli, metrics);
    });
}

/** The judge's options that every command shares. */
function addJudgeOptions(command: Command): Command {
  return addEndpointOptions(command)
    .requiredOption('--out <FILE.jsonl>', 'where the judgments go; appears only when complete')
    .option('--force', 'replace an output that is there')
    .option('--prompts <NAME|FILE.yaml>', "the judge's prompts; ours unless you bring others", 'benchmarks')
    .option('--max-tokens <COUNT>', 'most tokens per judgment', wholeNumber(1), 2048)
    .option('--seed <NUMBER>', 'seed of places and bootstraps', wholeNumber(0), 0);
}

function addPairwise(evaluate: Command, cli: Cli): void {
  const command = evaluate
    .command('pairwise')
    .summary("two models' answers to your prompts before your judge")
    .description(
      'A judge at --endpoint says whose answer is better; whose stands first is drawn from the seed. Judgments are in ' +
        "AlpacaEval's format, and its numbers are printed. The prompts are ours.",
    );
  addJudgeOptions(command)
    .requiredOption('--answers <FILE>', "the model's answers: rows with prompt and answer")
    .requiredOption('--baseline <FILE>', 'answers of the model it is compared with')
    .action(async (_: unknown, made: Command) => {
      const options = made.optsWithGlobals<PairOptions>();
      const { readPairedAnswers } = await import('../evaluate/judges/answers-file.ts');
      const { judgePairs } = await import('../evaluate/judges/pairwise.ts');
      const { alpacaEval } = await import('../evaluate/judges/alpaca-eval.ts');
      await judged(cli, options, async (judge, { files }) => {
        const pairs = await readPairedAnswers(files, options.answers, options.baseline);
        await write(files, options.out, await judgePairs(judge, pairs, options.seed));
        return alpacaEval(files, options.out);
      });
    });
}

function addArenaHard(evaluate: Command, cli: Cli): void {
  const command = evaluate
    .command('arena-hard')
    .summary('two games per question, five verdicts, Bradley-Terry')
    .description(
      'Each question is judged twice with places swapped; a clear win counts three times. Prints the win rate against the ' +
        'baseline by a Bradley-Terry fit with the 5% and 95% percentiles of 100 bootstraps. The prompts are ours.',
    );
  addJudgeOptions(command)
    .requiredOption('--answers <FILE>', "the model's answers: rows with prompt and answer")
    .requiredOption('--baseline <FILE>', "the baseline's answers")
    .action(async (_: unknown, made: Command) => {
      const options = made.optsWithGlobals<PairOptions>();
      const { readPairedAnswers } = await import('../evaluate/judges/answers-file.ts');
      const { arenaSummary, judgeArena } = await import('../evaluate/judges/arena-hard.ts');
      await judged(cli, options, async (judge, { files }) => {
        const pairs = await readPairedAnswers(files, options.answers, options.baseline);
        const rows = await judgeArena(judge, pairs);
        await write(files, options.out, rows);
        return arenaSummary(rows, options.seed);
      });
    });
}

interface MtOptions extends JudgeOptions {
  readonly questions: string;
  readonly answers?: string;
  readonly modelEndpoint?: string;
  readonly modelName?: string;
}

function addMtBench(evaluate: Command, cli: Cli): void {
  const command = evaluate
    .command('mt-bench')
    .summary('two turns, rated from 1 to 10')
    .description(
      'Rates every turn; references are shown for maths, reasoning and coding. Answers come from a file of question_id ' +
        'and answers, or from the model served at --model-endpoint, at the temperature of each category (0.7 for writing ' +
        'and roleplay, 0.1 for stem and humanities, else 0). The prompts are ours.',
    );
  addJudgeOptions(command)
    .requiredOption('--questions <FILE.jsonl>', 'rows with question_id, category, turns and reference')
    .option('--answers <FILE.jsonl>', 'answers that are there already')
    .option('--model-endpoint <URL|FILE.yaml>', 'where the model to be rated is served')
    .option('--model-name <NAME>', "the model's name there")
    .action(async (_: unknown, made: Command) => {
      const options = made.optsWithGlobals<MtOptions>();
      const bench = await import('../evaluate/judges/mt-bench.ts');
      await judged(cli, options, async (judge, runtime) => {
        const questions = await bench.readMtQuestions(runtime.files, options.questions);
        const answers =
          options.answers === undefined
            ? await servedAnswers(runtime, options, (model) =>
                bench.answerMtQuestions(model, questions, 1024),
              )
            : await bench.readMtAnswers(runtime.files, options.answers);
        const rows = await bench.judgeMtAnswers(judge, questions, answers);
        await write(runtime.files, options.out, rows);
        return bench.mtSummary(rows);
      });
    });
}

interface HhOptions extends JudgeOptions {
  readonly model: string;
  readonly adapter?: string;
  readonly adapterDir?: string;
  readonly data: string;
  readonly rater: string;
  readonly limit?: number;
  readonly batchSize: number;
}

function addHh(evaluate: Command, cli: Cli): void {
  const command = evaluate
    .command('hh')
    .summary("a model's answers against the data's chosen ones, by a rater")
    .description(
      'Answers the single-turn dialogues of a file at temperature 1 with at most 1024 tokens, and prints the share that a ' +
        'rater (see "prefgrad rate") scores above the chosen answer of the data.',
    )
    .requiredOption('--model <DIR>', 'model directory');
  for (const option of adapterOptions()) command.addOption(option);
  addEndpointOptions(command)
    .requiredOption('--data <FILE>', 'dialogues with chosen and rejected')
    .requiredOption(
      '--rater <KIND:WHAT>',
      'rule:FILE.mjs, command:PROGRAM, http:URL, judge:score, judge:pairwise',
    )
    .requiredOption('--out <FILE.jsonl>', 'where the cases go; appears only when complete')
    .option('--force', 'replace an output that is there')
    .option('--prompts <NAME|FILE.yaml>', "a judge's prompts", 'judge')
    .option('--max-tokens <COUNT>', 'most tokens per judgment', wholeNumber(1), 1024)
    .option('--limit <COUNT>', 'the first dialogues only', wholeNumber(1))
    .option('--seed <NUMBER>', 'seed of the samples', wholeNumber(0), 42)
    .option('--batch-size <COUNT>', 'dialogues answered at the same time', wholeNumber(1), 8)
    .action(async (_: unknown, made: Command) => {
      const options = made.optsWithGlobals<HhOptions>();
      const runtime = await cli.runtime();
      await checkOutput(runtime.files, options.out, options.force ?? false);
      const hh = await import('../evaluate/judges/hh.ts');
      const { answerWithModel } = await import('../evaluate/model-answers.ts');
      const { openRater } = await import('./pipelines/open-rater.ts');
      const { rater, client } = await openRater(runtime, options);
      try {
        const dialogues = await hh.readHhDialogues(runtime.files, options.data, { limit: options.limit });
        const answers = await answerWithModel(
          runtime,
          dialogues.map(({ prompt }) => prompt),
          { ...options, ...hh.HH_SAMPLING, adapter: options.adapter ?? options.adapterDir },
        );
        const rows = await hh.rateHhAnswers(
          rater,
          dialogues,
          answers.map(({ text }) => text),
        );
        await write(runtime.files, options.out, rows);
        print(cli, hh.hhSummary(rows));
      } finally {
        await rater.close?.();
        await client?.close();
      }
    });
}

/** Opens the judge, runs `work`, and prints its result with what the judge cost. */
async function judged(
  cli: Cli,
  options: JudgeOptions,
  work: (judge: JudgeModel, runtime: Runtime) => Promise<object>,
): Promise<void> {
  const { openEndpoint } = await import('./pipelines/open-endpoint.ts');
  const { promptPath } = await import('./pipelines/prompt-path.ts');
  const { PromptFile } = await import('../preferences/prompt-file.ts');
  const runtime = await cli.runtime();
  await checkOutput(runtime.files, options.out, options.force ?? false);
  const prompts = await PromptFile.load(runtime.files, promptPath(options.prompts));
  const model = await openEndpoint(runtime, options);
  try {
    const sampling = { maxTokens: options.maxTokens, temperature: 0 };
    const summary = await work({ model, prompts, sampling }, runtime);
    const { name, version } = prompts;
    print(cli, { ...summary, judge: model.settings.model, prompts: { name, version }, usage: model.usage });
  } finally {
    await model.close();
  }
}

/** @throws InputError where no endpoint is named */
async function servedAnswers<T>(
  runtime: Runtime,
  { modelEndpoint, modelName, ...options }: MtOptions,
  work: (model: LlmClient) => Promise<T>,
): Promise<T> {
  if (modelEndpoint === undefined) throw new InputError('Give --answers FILE or --model-endpoint URL.');
  const { openEndpoint } = await import('./pipelines/open-endpoint.ts');
  const model = await openEndpoint(runtime, {
    ...options,
    endpoint: modelEndpoint,
    endpointModel: modelName,
  });
  try {
    return await work(model);
  } finally {
    await model.close();
  }
}

async function write(files: Runtime['files'], path: string, rows: readonly object[]): Promise<void> {
  const { writeLines } = await import('../evaluate/lines.ts');
  await writeLines(files, path, async (line) => {
    for (const row of rows) await line(row);
  });
}
