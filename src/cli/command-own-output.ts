/** `prefgrad own-output`. */
import type { Command } from 'commander';
import { InputError } from '../errors.ts';
import type { Grade, OwnOutputOptions } from '../preferences/own-output.ts';
import type { Cli } from './context.ts';
import { EXIT_CODES } from './failure.ts';
import { wholeNumber } from './options.ts';
import {
  addEndpointOptions,
  addLocalModelOptions,
  addRowOptions,
  type EndpointOptions,
  type LocalModelOptions,
  type RowOptions,
} from './pipelines/options.ts';

interface Options extends RowOptions, EndpointOptions, LocalModelOptions {
  readonly maxTokens: number;
  readonly prompts: string;
  readonly grader?: string;
}

export function addOwnOutput(program: Command, cli: Cli): void {
  const command = program
    .command('own-output')
    .summary("pair the ground truth with the model's own answer")
    .description(
      "BMC's pairs for questions and maths: the ground truth is chosen, the model's own greedy answer is rejected. Rows have " +
        'a prompt and a completion (or chosen); other names are mapped by --column.',
    );
  addEndpointOptions(addLocalModelOptions(addRowOptions(command)))
    .option('--max-tokens <COUNT>', 'most tokens per answer', wholeNumber(1), 512)
    .option(
      '--prompts <SHAPE>',
      "what a prompt that is a string becomes: text, chat, instruction (BMC's), or a template with {prompt}",
      'text',
    )
    .option(
      '--grader <TASK|FILE.mjs>',
      'drop right answers: a task of "prefgrad evaluate", or a module: export default (answer, truth, row) => boolean',
    )
    .addHelpText(
      'after',
      `
Example:
  prefgrad own-output --rows ecqa.jsonl --column prompt=problem --column completion=solution --prompts instruction \\
    --endpoint http://127.0.0.1:8000/v1 --endpoint-model sft --out pairs.jsonl

${EXIT_CODES}`,
    )
    .action(async (_: unknown, made: Command) => {
      const options = made.optsWithGlobals<Options>();
      const { ownOutputStep } = await import('../preferences/own-output.ts');
      const { parsePromptShape } = await import('../preferences/prompt-shape.ts');
      const { openCompletionModel } = await import('./pipelines/open-completion-model.ts');
      const { runStep } = await import('./pipelines/run-step.ts');
      const shape = parsePromptShape(options.prompts);
      const grader = options.grader === undefined ? undefined : await openGrader(options.grader);
      const runtime = await cli.runtime();
      const { model, name, client, close } = await openCompletionModel(runtime, options);
      try {
        const step = ownOutputStep({
          model,
          modelName: name,
          sampling: { temperature: 0, maxTokens: options.maxTokens },
          shape,
          grader,
          columns: options.column,
        });
        await runStep(cli, runtime, step, options, client);
      } finally {
        await close();
      }
    });
}

/** A module's grader, or that of a task, which finds the right answer in the row by itself. */
async function openGrader(name: string): Promise<OwnOutputOptions['grader']> {
  if (/[./\\]/.test(name)) {
    const { loadFunction } = await import('./pipelines/user-module.ts');
    return { name, grade: await loadFunction<Grade>(name, '(answer, truth, row) => boolean') };
  }
  const { tasks } = await import('../evaluate/tasks/registry.ts');
  const task = tasks.find(name);
  if (task === undefined)
    throw new InputError(`--grader: ${tasks.unknown(name)}; a module has a '.' or '/' in its name.`);
  const grade: Grade = (answer, truth, raw) =>
    task.grade(task.read(raw.value)?.gold ?? truth, answer).correct;
  return { name, grade };
}
