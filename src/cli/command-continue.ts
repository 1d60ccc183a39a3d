/** `prefgrad continue`. */
import type { Command } from 'commander';
import { InputError } from '../errors.ts';
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
} from './pipelines/options.ts';

interface Options extends RowOptions, EndpointOptions, LocalModelOptions {
  readonly tokenizer?: string;
  readonly share: number;
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
  readonly maxTokens: number;
  readonly prompts: string;
}

export function addContinue(program: Command, cli: Cli): void {
  const command = program
    .command('continue')
    .summary('let the model continue the beginning of chosen answers')
    .description(
      'DPO (CW) of BMC: the model continues the first tokens of the chosen answer; beginning and continuation are the rejected ' +
        "answer. The tokenizer must be the endpoint's, since prompts go there as token ids.",
    );
  addEndpointOptions(addLocalModelOptions(addRowOptions(command)))
    .option('--tokenizer <DIR>', "model directory with the endpoint's tokenizer")
    .option('--share <SHARE>', "part of the chosen answer's tokens that is kept", numberFrom(0.01, 0.99), 0.5)
    .option('--temperature <NUMBER>', '0 takes the most probable token', numberFrom(0), 0)
    .option('--top-p <SHARE>', 'sample among the most probable tokens of this share', numberFrom(1e-6, 1), 1)
    .option('--seed <NUMBER>', 'seed of the samples', wholeNumber(0), 42)
    .option('--max-tokens <COUNT>', 'most tokens per continuation', wholeNumber(1), 512)
    .option(
      '--prompts <SHAPE>',
      'what a prompt that is a string becomes: text, chat, instruction, or a template with {prompt}',
      'text',
    )
    .addHelpText(
      'after',
      `
Example:
  prefgrad continue --rows pairs.jsonl --share 0.5 --endpoint http://127.0.0.1:8000/v1 --endpoint-model sft \\
    --tokenizer runs/sft/model --out cw.jsonl

${EXIT_CODES}`,
    )
    .action(async (_: unknown, made: Command) => {
      const options = made.optsWithGlobals<Options>();
      const { continueStep } = await import('../preferences/continue.ts');
      const { parsePromptShape } = await import('../preferences/prompt-shape.ts');
      const { loadTokenizer } = await import('../data/load-tokenizer.ts');
      const { openCompletionModel } = await import('./pipelines/open-completion-model.ts');
      const { runStep } = await import('./pipelines/run-step.ts');
      const shape = parsePromptShape(options.prompts);
      const runtime = await cli.runtime();
      if (options.model === undefined && options.tokenizer === undefined)
        throw new InputError("Give --tokenizer DIR, the directory of the endpoint's model.");
      const { model, name, client, close, tokenizer } = await openCompletionModel(runtime, options);
      try {
        const { temperature, topP, seed, maxTokens } = options;
        const step = continueStep({
          model,
          modelName: name,
          tokenizer: tokenizer ?? (await loadTokenizer(runtime.files, options.tokenizer ?? '')),
          share: options.share,
          sampling: { temperature, topP, seed, maxTokens },
          shape,
          columns: options.column,
        });
        await runStep(cli, runtime, step, options, client);
      } finally {
        await close();
      }
    });
}
