/** npm run bench -- kernels|peers|train|objectives [--quick] [--out FILE.json]. */
import { Command, Option } from 'commander';
import { detectRuntime } from '../src/runtime/index.ts';
import { benchKernels } from './kernels/run.ts';
import { benchPeers } from './peers/run.ts';
import { publish } from './report.ts';
import { benchObjectives } from './training/objectives.ts';
import { benchTraining } from './training/run.ts';

const BENCHES = {
  kernels: ["each kernel, checked, then against this adapter's copy or best product", benchKernels],
  peers: ['products and log-probs beside jax-js, TensorFlow.js and gpu.js', benchPeers],
  train: ['a whole step: methods, techniques, cost by size, and where the time goes', benchTraining],
  objectives: ["every method's step against dpo's", benchObjectives],
} as const;

const program = new Command('bench').description('Measures this machine. Close everything else first.');
for (const [name, [summary, bench]] of Object.entries(BENCHES)) {
  program
    .command(name)
    .description(summary)
    .option('--quick', 'fewer shapes and rounds', false)
    .addOption(new Option('--out <FILE.json>', 'write the rows there, too'))
    .action(async ({ quick, out }: { quick: boolean; out?: string }) =>
      publish(await bench(await detectRuntime(), quick), out),
    );
}
await program.parseAsync();
