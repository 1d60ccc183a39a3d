/** `prefgrad rollout`. */
import type { Command } from 'commander';
import type { Cli } from './context.ts';
import { EXIT_CODES } from './failure.ts';
import { numberFrom, wholeNumber } from './options.ts';
import {
  addEndpointOptions,
  addLocalModelOptions,
  addRowOptions,
  type EndpointOptions,
  type LocalModelOptions,
  type RowOptions,
  seedList,
} from './pipelines/options.ts';

interface Options extends RowOptions, EndpointOptions, LocalModelOptions {
  readonly seeds?: readonly number[];
  readonly temperature: number;
  readonly topP: number;
  readonly maxTokens: number;
  readonly prompts: string;
}

export function addRollout(program: Command, cli: Cli): void {
  const command = program
    .command('rollout')
    .summary('sample several answers to every prompt')
    .description(
      "Samples answers to every prompt, as MIPO and epsilon-DPO do with SimPO's settings: five of them, temperature 0.8, " +
        'top-p 0.95. Writes all_generated_responses; prompts whose answers are all equal are dropped. Then: prefgrad rate.',
    );
  addEndpointOptions(addLocalModelOptions(addRowOptions(command)))
    .option('--seeds <LIST>', 'one answer per seed (default: 13,21,42,79,100)', seedList)
    .option('--temperature <NUMBER>', '0 takes the most probable token', numberFrom(0), 0.8)
    .option(
      '--top-p <SHARE>',
      'sample among the most probable tokens of this share',
      numberFrom(1e-6, 1),
      0.95,
    )
    .option('--max-tokens <COUNT>', 'most tokens per answer', wholeNumber(1), 4096)
    .option(
      '--prompts <SHAPE>',
      'what a prompt that is a string becomes: text, chat, instruction, or a template with {prompt}',
      'text',
    )
    .addHelpText(
      'after',
      `
Example:
  prefgrad rollout --rows prompts.jsonl --prompts chat --endpoint http://127.0.0.1:8000/v1 --endpoint-model sft --out rollouts.jsonl

${EXIT_CODES}`,
    )
    .action(async (_: unknown, made: Command) => {
      const options = made.optsWithGlobals<Options>();
      const { ROLLOUT_SEEDS, rolloutStep } = await import('../preferences/rollout.ts');
      const { parsePromptShape } = await import('../preferences/prompt-shape.ts');
      const { openCompletionModel } = await import('./pipelines/open-completion-model.ts');
      const { runStep } = await import('./pipelines/run-step.ts');
      const shape = parsePromptShape(options.prompts);
      const runtime = await cli.runtime();
      const { model, name, client, close } = await openCompletionModel(runtime, options);
      try {
        const step = rolloutStep({
          model,
          modelName: name,
          seeds: options.seeds ?? ROLLOUT_SEEDS,
          sampling: { temperature: options.temperature, topP: options.topP, maxTokens: options.maxTokens },
          shape,
          columns: options.column,
        });
        await runStep(cli, runtime, step, options, client);
      } finally {
        await close();
      }
    });
}
