/** `prefgrad own-output`. */
import type { Command } from 'commander';
import type { Grade } from '../preferences/own-output.ts';
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
      '--grader <FILE.mjs>',
      'drop right answers: a module with export default (answer, truth, row) => boolean',
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
      const { loadFunction } = await import('./pipelines/user-module.ts');
      const { openCompletionModel } = await import('./pipelines/open-completion-model.ts');
      const { runStep } = await import('./pipelines/run-step.ts');
      const shape = parsePromptShape(options.prompts);
      const { grader: file } = options;
      const grade =
        file === undefined ? undefined : await loadFunction<Grade>(file, '(answer, truth, row) => boolean');
      const runtime = await cli.runtime();
      const { model, name, client, close } = await openCompletionModel(runtime, options);
      try {
        const step = ownOutputStep({
          model,
          modelName: name,
          sampling: { temperature: 0, maxTokens: options.maxTokens },
          shape,
          grader: grade && file ? { name: file, grade } : undefined,
          columns: options.column,
        });
        await runStep(cli, runtime, step, options, client);
      } finally {
        await close();
      }
    });
}
