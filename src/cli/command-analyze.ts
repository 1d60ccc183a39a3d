/** `prefgrad analyze`: the papers' figures from runs, score files and sweeps. */
import type { Command } from 'commander';
import type { Rasterize } from '../analyze/output.ts';
import { InputError } from '../errors.ts';
import { addSourceOptions, type SourceOptions, sourcesOf } from './analyze-options.ts';
import type { Cli, GlobalOptions } from './context.ts';
import { EXIT_CODES } from './failure.ts';

interface Options extends GlobalOptions, SourceOptions {
  readonly all?: true;
  readonly out: string;
  readonly force?: boolean;
  readonly png?: true;
}

export function addAnalyze(program: Command, cli: Cli): void {
  const command = program
    .command('analyze')
    .summary("the papers' figures and tables from your own runs")
    .description(
      'Makes figures and tables by the names that they have in the papers, as JSON and SVG (light, and -dark), tables as ' +
        'JSON and Markdown. Without a name it lists them.',
    )
    .argument('[NAME...]', 'mipo-4, bmc-2, epsilon-3, ...');
  addSourceOptions(command)
    .option('--all', 'everything that the sources are enough for')
    .option('--out <DIR>', 'where the files go', 'figures')
    .option('--force', 'replace files that are there')
    .option('--png', 'also PNG, with the package @resvg/resvg-js')
    .addHelpText(
      'after',
      `
Examples:
  prefgrad analyze
  prefgrad analyze bmc-9 --run dpo=runs/dpo --run bmc=runs/dpo-bmc
  prefgrad analyze --all --run runs/dpo --scores dpo=dpo.scores.jsonl --out figures

${EXIT_CODES}`,
    )
    .action(async (names: string[], options: Options) => {
      const { analyses, analyze, analyzeAll } = await import('../analyze/registry.ts');
      if (names.length === 0 && options.all !== true) {
        for (const [name, { summary }] of Object.entries(analyses))
          cli.out(`${name.padEnd(16)} ${summary}\n`);
        return;
      }
      if (names.length > 0 && options.all === true) throw new InputError('Give names or --all, not both.');
      const { readMaterial } = await import('../analyze/read.ts');
      const { writeResults } = await import('../analyze/output.ts');
      const { files } = await cli.runtime();
      const material = await readMaterial(files, sourcesOf(options));
      const { results, missing } =
        options.all === true ? analyzeAll(material) : { results: analyze(names, material), missing: [] };
      for (const line of missing) cli.err(`Left out: ${line}\n`);
      const rasterize = options.png === true ? await loadRasterizer() : undefined;
      const settings = { rasterize, force: options.force ?? false };
      for (const path of await writeResults(files, options.out, results, settings)) cli.out(`${path}\n`);
    });
}

/** Twice the size, which print needs. */
const PNG_SCALE = 2;

async function loadRasterizer(): Promise<Rasterize> {
  const module = await import('@resvg/resvg-js').catch(() => {
    throw new InputError('--png needs the package @resvg/resvg-js: npm install @resvg/resvg-js');
  });
  return async (svg) => new module.Resvg(svg, { fitTo: { mode: 'zoom', value: PNG_SCALE } }).render().asPng();
}
