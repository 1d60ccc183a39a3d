/** `prefgrad view`. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { RunError } from '../errors.ts';
import type { Cli, GlobalOptions } from './context.ts';
import { EXIT_CODES } from './failure.ts';
import { wholeNumber } from './options.ts';

interface Options extends GlobalOptions {
  readonly data?: string;
  readonly port: number;
}

/** web/dist beside src/ in a clone, beside dist/ in the package. */
const PAGE = import.meta.url.endsWith('.ts') ? '../../web/dist' : '../web/dist';

export function addView(program: Command, cli: Cli): void {
  program
    .command('view')
    .summary('runs, models and score files in the page, in your browser')
    .description(
      'Serves the page on this machine alone, with the sources open: run directories (metrics, checkpoints), model ' +
        'directories, PEFT adapters and score files. Nothing is written, and nothing leaves this machine. Ctrl-C ends it.',
    )
    .argument('<SOURCE...>', 'run directory, model directory, PEFT adapter or score file')
    .option('--data <FILE>', 'preference rows to look at, JSON or JSON Lines')
    .option('--port <N>', 'port on 127.0.0.1; 0 takes a free one', wholeNumber(0), 0)
    .addHelpText(
      'after',
      `
Examples:
  prefgrad view runs/dpo
  prefgrad view runs/dpo runs/simpo --data pairs.jsonl

${EXIT_CODES}`,
    )
    .action(async (sources: string[], { data, port }: Options) => {
      const { viewFiles } = await import('./view/view-files.ts');
      const { serveView } = await import('./view/view-server.ts');
      const server = await serveView(pageFiles(), viewFiles(sources, data), port);
      cli.out(`${server.url}\n`);
      cli.err('Open this address in a browser with WebGPU. Ctrl-C ends it.\n');
      await new Promise<void>((done) => {
        for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done());
      });
      await server.close();
    });
}

function pageFiles(): ReadonlyMap<string, string> {
  const folder = fileURLToPath(new URL(PAGE, import.meta.url));
  if (statSync(join(folder, 'index.html'), { throwIfNoEntry: false }) === undefined)
    throw new RunError(`${folder} is missing: in a clone, "npm run web:build" makes the page.`);
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return new Map(
    names
      .filter((name) => statSync(join(folder, name)).isFile())
      .map((name) => [name.replaceAll('\\', '/'), join(folder, name)]),
  );
}
