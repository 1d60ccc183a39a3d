/** npm run bench -- kernels|peers|train|load|ranks|foundation|objectives|generate|data|lora [--quick] [--out FILE.json], and plot. */
import { Command, Option } from 'commander';
import { detectRuntime, type Runtime } from '../src/index.ts';
import { appendRowsTo, publish, type Report } from './report.ts';

type Bench = (runtime: Runtime, quick: boolean, only?: string) => Promise<Report>;

/** Each is loaded when it is asked for: the peers are not installed everywhere. */
const BENCHES: Readonly<Record<string, readonly [string, () => Promise<Bench>]>> = {
  kernels: [
    "each kernel, checked, then against this adapter's copy or best product",
    async () => (await import('./kernels/run.ts')).benchKernels,
  ],
  peers: [
    'products and log-probs beside jax-js, TensorFlow.js and gpu.js',
    async () => (await import('./peers/run.ts')).benchPeers,
  ],
  train: [
    'a whole step: methods, techniques, cost by size, and where the time goes',
    async () => (await import('./training/run.ts')).benchTraining,
  ],
  foundation: [
    "the quickstart's step against the foundation's",
    async () => (await import('./training/foundation.ts')).benchFoundation,
  ],
  ranks: [
    'a step on one rank and on two, what they exchange, and what many cards would do',
    async () => (await import('./ranks/run.ts')).benchRanks,
  ],
  load: [
    "loading a checkpoint: time, and host memory beyond the GPU's",
    async () => (await import('./training/load.ts')).benchLoad,
  ],
  generate: [
    'decoding beside the copy limit, prefill, and texts beside transformers.js',
    async () => (await import('./generate/run.ts')).benchGenerate,
  ],
  objectives: [
    "every method's step against dpo's",
    async () => (await import('./training/objectives.ts')).benchObjectives,
  ],
};

const program = new Command('bench').description('Measures this machine. Close everything else first.');
interface Options {
  readonly quick: boolean;
  readonly out?: string;
  readonly lines?: string;
  readonly only?: string;
}

for (const [name, [summary, load]] of Object.entries(BENCHES)) {
  const command = program
    .command(name)
    .description(summary)
    .option('--quick', 'fewer shapes and rounds', false)
    .addOption(new Option('--out <FILE.json>', 'write the rows there, too'))
    .addOption(new Option('--lines <FILE.jsonl>', 'append each row there as it is measured'))
    .action(async ({ quick, out, lines, only }: Options) => {
      if (lines !== undefined) appendRowsTo(lines);
      publish(await (await load())(await detectRuntime(), quick, only), out);
    });
  if (name === 'objectives') command.option('--only <METHOD>', "one goal's duel, such as mipo");
  if (name === 'generate') command.option('--only <PART>', 'peer or limit');
  if (name === 'kernels') command.addOption(new Option('--only <PART>').choices(['products', 'models']));
  if (name === 'train') command.addOption(new Option('--only <PART>').choices(['profile', 'quantized']));
}
program
  .command('data')
  .description('memory while files of rows are read, of 1 GB each')
  .option('--quick', 'files of 50 MB', false)
  .option('--out <FILE.json>', 'write the rows there, too')
  .action(async ({ quick, out }: Options) =>
    (await import('./data/memory.ts')).benchDataMemory(quick ? 50 : 1000, out),
  );
program
  .command('lora')
  .description('whether the rates of the LoRA recipes learn, on the model of the quickstart')
  .option('--quick', 'two steps each', false)
  .option('--out <FILE.json>', 'write the rows there, too')
  .action(async ({ quick, out }: Options) =>
    (await import('./recipes/lora-rates.ts')).benchLoraRates(await detectRuntime(), quick, out),
  );
program
  .command('roofline')
  .description('predicts the step on known devices from its recorded dispatches; measures nothing')
  .action(async () => (await import('./roofline.ts')).benchRoofline(await detectRuntime()));
program
  .command('tiles')
  .description('counts what tiles of products on tensor cores cost; measures nothing')
  .action(async () => (await import('./tiles.ts')).benchTiles());
program
  .command('merge')
  .description("takes the results that bench.sh left on a GPU box into bench/results and README's table")
  .argument('<RESULTS>', 'its folder results')
  .action(async (folder: string) => (await import('./gpu-box/merge.ts')).merge(folder));
program
  .command('plot')
  .description('draws how cost grows with size, as the rows of "train" say')
  .argument('<RESULT.json>')
  .argument('<PICTURE.png>')
  .action(async (result: string, picture: string) => (await import('./plot.ts')).plot(result, picture));
await program.parseAsync();
