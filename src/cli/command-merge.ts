/** `prefgrad merge`. */
import type { Command } from 'commander';
import type { Cli } from './context.ts';
import { EXIT_CODES } from './failure.ts';

interface Options {
  readonly model?: string;
  readonly adapter: string;
  readonly out: string;
  readonly force?: boolean;
}

export function addMerge(program: Command, cli: Cli): void {
  program
    .command('merge')
    .summary('fold a PEFT LoRA adapter into its base model')
    .description(
      'Writes the base model with the adapter added to its weights, W + (alpha / r) B A, in the dtype of the base, with its ' +
        'config.json and with the tokenizer and chat template of the adapter where it has them. Needs no GPU; memory ' +
        'does not grow with the model.',
    )
    .option('--model <DIR>', 'base model; without it the one that the adapter names')
    .requiredOption('--adapter <DIR>', 'directory of the adapter')
    .requiredOption('--out <DIR>', 'where the merged model goes')
    .option('--force', 'replace a model that is there')
    .addHelpText(
      'after',
      `
Example:
  prefgrad merge --model models/Llama-3-8B --adapter runs/sft/model --out models/Llama-3-8B-sft

${EXIT_CODES}`,
    )
    .action(async ({ model, adapter, out: given, force = false }: Options) => {
      const out = given.replace(/(?<=.)\/+$/, '');
      const { checkModelOutput, writeDirectory } = await import('../formats/directory-writer.ts');
      const { locateModel } = await import('../formats/model-location.ts');
      const { openMerge } = await import('../models/loading/merge.ts');
      const { readModel } = await import('./preflight.ts');
      const { files } = await cli.runtime();
      await checkModelOutput(files, out, force);
      const location =
        model === undefined ? await locateModel(files, adapter) : await locateModel(files, model, adapter);
      await readModel(files, location.path);
      const merge = await openMerge(files, location);
      try {
        const parent = out.split('/').slice(0, -1).join('/');
        if (parent !== '') await files.makeDirectory(parent);
        await writeDirectory(files, out, merge.files);
      } finally {
        await merge.close();
      }
      cli.err(`${merge.modules} matrices of ${location.path} changed: ${out}\n`);
    });
}
