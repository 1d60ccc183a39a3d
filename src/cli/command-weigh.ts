/** `prefgrad weigh`. */
import type { Command } from 'commander';
import type { Cli } from './context.ts';
import { EXIT_CODES } from './failure.ts';
import { numberFrom, wholeNumber } from './options.ts';
import {
  addEndpointOptions,
  addRowOptions,
  type EndpointOptions,
  type RowOptions,
} from './pipelines/options.ts';

interface Options extends RowOptions, EndpointOptions {
  readonly prompts: string;
  readonly scale: number;
  readonly maxTokens: number;
}

export function addWeigh(program: Command, cli: Cli): void {
  const command = program
    .command('weigh')
    .summary('let a language model weigh the tokens of pairs')
    .description(
      'DPO (EW) of BMC: a language model quotes the passages that make the chosen answer better and the rejected one worse. ' +
        'They become chosen_weights and rejected_weights, spans of characters that training spreads over tokens.',
    );
  addEndpointOptions(addRowOptions(command))
    .option('--prompts <NAME|FILE.yaml>', 'what is said to the model', 'weigh')
    .option('--scale <NUMBER>', 'what the highest score adds to the weight of 1', numberFrom(0), 1)
    .option('--max-tokens <COUNT>', 'most tokens per judgment', wholeNumber(1), 1024)
    .addHelpText(
      'after',
      `
Example:
  prefgrad weigh --rows pairs.jsonl --endpoint gpt.yaml --out weighed.jsonl

${EXIT_CODES}`,
    )
    .action(async (_: unknown, made: Command) => {
      const options = made.optsWithGlobals<Options>();
      const { weighStep } = await import('../preferences/weigh.ts');
      const { PromptFile } = await import('../preferences/prompt-file.ts');
      const { promptPath } = await import('./pipelines/prompt-path.ts');
      const { openEndpoint } = await import('./pipelines/open-endpoint.ts');
      const { runStep } = await import('./pipelines/run-step.ts');
      const runtime = await cli.runtime();
      const client = await openEndpoint(runtime, options);
      try {
        const step = weighStep({
          model: client,
          modelName: client.settings.model,
          prompts: await PromptFile.load(runtime.files, promptPath(options.prompts)),
          maxTokens: options.maxTokens,
          scale: options.scale,
          columns: options.column,
        });
        await runStep(cli, runtime, step, options, client);
      } finally {
        await client.close();
      }
    });
}
