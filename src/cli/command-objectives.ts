/** `prefgrad objectives`. */
import type { Command } from 'commander';
import { InputError } from '../errors.ts';
import { checkOutput } from '../formats/atomic-file.ts';
import type { Cli, GlobalOptions } from './context.ts';
import { EXIT_CODES } from './failure.ts';
import { objectiveFacts, objectiveText, tokenWeightText } from './objective-list.ts';
import { adapterIsNoDevice } from './options.ts';

interface Options extends GlobalOptions {
  readonly evaluate?: string;
  readonly out?: string;
  readonly force?: boolean;
  readonly json?: true;
}

export function addObjectives(program: Command, cli: Cli): void {
  program
    .command('objectives')
    .summary('list every method, or compute cases with them')
    .description(
      'Lists every objective that a configuration can name: its loss, settings with ranges and defaults, what it ' +
        'needs (a reference, pairs or labels) and the paper it is from; then the token weights that go on top of some. With --evaluate it computes the cases of a ' +
        'file with the production kernels instead, to compare them with another implementation: one JSON line per ' +
        'case with the loss, the loss of each pair, rewards, and gradients per token.',
    )
    .addOption(adapterIsNoDevice())
    .option('--json', 'list as one JSON array')
    .option(
      '--evaluate <IN.json>',
      'compute the cases of this file: batch.pairs with logits, cases with name and hp',
    )
    .option('--out <OUT.jsonl>', 'where the results of --evaluate go')
    .option('--force', 'replace an output that is there')
    .addHelpText(
      'after',
      `
Examples:
  prefgrad objectives
  prefgrad objectives --json
  prefgrad objectives --evaluate golden.json --out results.jsonl --device lavapipe

${EXIT_CODES}`,
    )
    .action(async (_: unknown, command: Command) => {
      const { evaluate, out, force = false, json, device } = command.optsWithGlobals<Options>();
      if (evaluate === undefined) {
        if (out !== undefined) throw new InputError('--out is for --evaluate; the list goes to stdout.');
        const { objectives, tokenWeights } = await import('../objectives/registry.ts');
        const facts = objectives.map(objectiveFacts);
        const texts = [...facts.map(objectiveText), ...tokenWeights.map(tokenWeightText)];
        cli.out(json ? `${JSON.stringify(facts, null, 2)}\n` : texts.join('\n'));
        return;
      }
      if (out === undefined) throw new InputError('--evaluate needs --out OUT.jsonl.');
      const { evaluateObjectivesFile } = await import('../cases/evaluate-file.ts');
      const runtime = await cli.runtime();
      await checkOutput(runtime.files, out, force);
      await evaluateObjectivesFile(runtime, { input: evaluate, out, device });
      cli.err(`Results: ${out}\n`);
    });
}
