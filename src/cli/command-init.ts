/** `prefgrad init METHOD`. */
import { type Command, Option } from 'commander';
import { InputError } from '../errors.ts';
import { AtomicFile, checkOutput } from '../formats/atomic-file.ts';
import { readJson } from '../formats/json-file.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import type { Cli, GlobalOptions } from './context.ts';
import { EXIT_CODES } from './failure.ts';
import { adapterIsNoDevice } from './options.ts';

interface Options extends GlobalOptions {
  readonly model?: string;
  readonly data?: string;
  readonly eval?: string;
  readonly lora?: true;
  readonly tokenWeights?: 'bmc';
  readonly outputDir?: string;
  readonly out?: string;
  readonly force?: boolean;
}

export function addInit(program: Command, cli: Cli): void {
  program
    .command('init')
    .summary('write a commented configuration to begin with')
    .description(
      'Writes a configuration for METHOD: the keys that people change, each with what it does, and the settings of the ' +
        'method with their ranges and defaults. Rates are those of published recipes, or of adapters with --lora. What ' +
        'is not given stands there as a path to fill in.',
    )
    .argument('<METHOD>', 'a method of "prefgrad objectives"')
    .option('--model <DIR>', 'model directory, adapter directory or hf:OWNER/NAME')
    .option('--data <FILE>', 'rows to train on: a file, a pattern or hf:OWNER/NAME')
    .option('--eval <FILE>', 'rows held out; without it a share of the data is')
    .option('--lora', 'train an adapter, not all weights')
    .addOption(new Option('--token-weights <NAME>', 'token weights on top of the method').choices(['bmc']))
    .option('--output-dir <DIR>', 'output_dir of the run; without it runs/METHOD')
    .option('--out <FILE.yaml>', 'where it is written; without it METHOD.yaml')
    .option('--force', 'replace a file that is there')
    .addOption(adapterIsNoDevice())
    .addHelpText(
      'after',
      `
Examples:
  prefgrad init simpo
  prefgrad init dpo --model models/Qwen2.5-0.5B-Instruct --data pairs.jsonl --lora
  prefgrad init dpo --token-weights bmc --out dpo-bmc.yaml
  prefgrad init sft --data chats.jsonl

${EXIT_CODES}`,
    )
    .action(async (method: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const { DEFAULT_MAX_LENGTH, startingConfig } = await import('./starting-config.ts');
      const { findObjective } = await import('../objectives/registry.ts');
      const { files } = await cli.runtime();
      const name = method.toLowerCase();
      const objective = findObjective(name);
      if (options.tokenWeights !== undefined && !objective.takesTokenWeights)
        throw new InputError(`--token-weights: ${name} takes no token weights.`);
      const variant = [name, options.tokenWeights, options.lora ? 'lora' : undefined];
      const label = variant.filter((part) => part !== undefined).join('-');
      const file = options.out ?? `${label}.yaml`;
      await checkOutput(files, file, options.force ?? false);
      const model = options.model ?? 'path/to/model';
      const positions = await positionsOf(files, model);
      const text = startingConfig({
        method: name,
        tokenWeights: options.tokenWeights,
        model,
        train: options.data ?? 'path/to/rows.jsonl',
        eval: options.eval,
        lora: options.lora ?? false,
        maxLength: Math.min(DEFAULT_MAX_LENGTH, positions),
        outputDir: options.outputDir ?? `runs/${label}`,
        file,
      });
      const target = await AtomicFile.open(files, file);
      await target.write(text);
      await target.commit();
      cli.out(`${file}\n`);
      const wanted = { 'model.path': options.model, 'data.train': options.data };
      const missing = Object.entries(wanted).flatMap(([key, value]) => (value === undefined ? [key] : []));
      const first = missing.length === 0 ? '' : `Fill in ${missing.join(' and ')}. `;
      cli.err(`${first}Then: prefgrad validate ${file}\n`);
    });
}

/** Most tokens of a text of the model, where its directory is at hand and says so. */
async function positionsOf(files: FileSystem, model: string): Promise<number> {
  const path = `${model}/config.json`;
  if (model.startsWith('hf:') || !(await files.exists(path))) return Number.POSITIVE_INFINITY;
  const { max_position_embeddings: positions } = await readJson(files, path);
  return typeof positions === 'number' ? positions : Number.POSITIVE_INFINITY;
}
