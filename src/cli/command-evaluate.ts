/** `prefgrad evaluate`: tasks with right answers; what a judge decides is in command-judge.ts. */
import type { Command } from 'commander';
import { InputError } from '../errors.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { addJudges } from './command-judge.ts';
import type { Cli, GlobalOptions } from './context.ts';
import { EXIT_CODES } from './failure.ts';
import { adapterOptions, numberFrom, wholeNumber } from './options.ts';

interface Options extends GlobalOptions {
  readonly task?: string;
  readonly taskFile?: string;
  readonly predictions?: string;
  readonly model?: string;
  readonly adapter?: string;
  readonly adapterDir?: string;
  readonly data?: string;
  readonly out?: string;
  readonly limit?: number;
  readonly maxNewTokens?: number;
  readonly temperature: number;
  readonly seed: number;
  readonly batchSize: number;
}

const EXAMPLES = `
Examples:
  prefgrad evaluate --task gsm8k --predictions vllm.jsonl --out graded.jsonl
  prefgrad evaluate --task gsm8k --model runs/dpo/model --data gsm8k_test.jsonl --out graded.jsonl
  prefgrad evaluate compare sft.jsonl dpo.jsonl
  prefgrad evaluate alpaca-eval --annotations annotations.json --out metrics.json
"prefgrad evaluate task --help" says what a task takes.

${EXIT_CODES}`;

export function addEvaluate(program: Command, cli: Cli): void {
  const evaluate = program
    .command('evaluate')
    .summary('grade answers: tasks, judges, comparisons')
    .description('Grades what models answer. Without a command it is "task", so that --task NAME is enough.')
    .addHelpText('after', EXAMPLES);
  const task = evaluate
    .command('task', { isDefault: true })
    .summary('a task with right answers')
    .description(
      "Grades answers to a task's questions, one JSON line per case with 'correct', and prints accuracy with its " +
        'Wilson interval. --predictions takes answers made elsewhere, rows of {"gold", "prediction"}; --model and ' +
        '--data let our engine answer.',
    )
    .option('--task <NAME>', 'ecqa, qasc, obqa, strategyqa, gsm8k, math, mawps, tabmwp, svamp, or custom')
    .option('--task-file <FILE.yaml>', 'what the task custom is: prompt, stops, extraction, comparison')
    .option('--predictions <FILE>', 'rows with gold and prediction, both raw texts')
    .option('--model <DIR>', 'model directory');
  for (const option of adapterOptions()) task.addOption(option);
  task
    .option('--data <FILE>', "the task's questions, in their own columns")
    .option('--out <FILE.jsonl>', 'where the cases go; appears only when complete')
    .option('--limit <COUNT>', 'ask the first questions only', wholeNumber(1))
    .option('--max-new-tokens <COUNT>', "most tokens per answer; without it the task's", wholeNumber(1))
    .option('--temperature <NUMBER>', '0 takes the most probable token', numberFrom(0), 0)
    .option('--seed <NUMBER>', 'seed of the samples', wholeNumber(0), 42)
    .option('--batch-size <COUNT>', 'questions answered at the same time', wholeNumber(1), 8)
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const summary = await runTask(await cli.runtime(), options);
      cli.out(`${JSON.stringify(summary, null, 2)}\n`);
    });
  evaluate
    .command('compare')
    .summary('two models on the same questions: paired bootstrap')
    .description(
      'Compares two files that evaluate wrote, and prints the difference of B and A with its interval.',
    )
    .argument('<A.jsonl>')
    .argument('<B.jsonl>')
    .option('--seed <NUMBER>', 'seed of the resamples', wholeNumber(0), 0)
    .action(async (a: string, b: string, { seed }: { seed: number }) => {
      const { compareResults } = await import('../evaluate/compare.ts');
      const comparison = await compareResults((await cli.runtime()).files, a, b, seed);
      cli.out(`${JSON.stringify(comparison, null, 2)}\n`);
    });
  addJudges(evaluate, cli);
}

async function runTask(runtime: Runtime, options: Options): Promise<unknown> {
  const { predictions, model, data, out } = options;
  if (out === undefined) throw new InputError('Say where the cases go: --out FILE.jsonl.');
  const task = await taskOf(runtime, options);
  const { evaluateTask, gradePredictions } = await import('../evaluate/evaluate-task.ts');
  if (predictions !== undefined) return gradePredictions(runtime.files, task, predictions, out);
  if (model === undefined || data === undefined) {
    throw new InputError('Give --predictions FILE, or --model DIR and --data FILE.');
  }
  const { answerWithModel } = await import('../evaluate/model-answers.ts');
  const { adapter, adapterDir, device, temperature, seed, batchSize } = options;
  const answer = (prompts: readonly string[], maxNewTokens: number) =>
    answerWithModel(runtime, prompts, {
      model,
      adapter: adapter ?? adapterDir,
      device,
      maxNewTokens: options.maxNewTokens ?? maxNewTokens,
      temperature,
      seed,
      batchSize,
    });
  return evaluateTask(runtime.files, task, data, out, answer, options.limit);
}

async function taskOf({ files }: Runtime, { task, taskFile }: Options) {
  if (task === undefined)
    throw new InputError('Say which task: --task NAME; see "prefgrad evaluate --help".');
  if (task === 'custom') {
    if (taskFile === undefined) throw new InputError('The task custom needs --task-file FILE.yaml.');
    const { parseCustomTask } = await import('../evaluate/tasks/custom.ts');
    return parseCustomTask(await files.readText(taskFile), taskFile);
  }
  const { tasks } = await import('../evaluate/tasks/registry.ts');
  const found = tasks.find(task);
  if (found === undefined) throw new InputError(`--task: ${tasks.unknown(task)}, custom`);
  return found;
}
