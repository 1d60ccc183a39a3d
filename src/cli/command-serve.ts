/** `prefgrad serve`. */
import type { Command } from 'commander';
import type { Cli, GlobalOptions } from './context.ts';
import { EXIT_CODES } from './failure.ts';
import { listenForInterrupt } from './interrupt.ts';
import { numberFrom, wholeNumber } from './options.ts';

interface Options extends GlobalOptions {
  readonly model: string;
  readonly adapter?: string;
  readonly name?: string;
  readonly host: string;
  readonly port: number;
  readonly apiKey?: string;
  readonly maxSequences: number;
  readonly maxRequests: number;
  readonly maxBodyBytes: number;
  readonly cacheMib?: number;
  readonly timeout: number;
}

/** Milliseconds that answers on their way get when the server is stopped. */
const GRACE = 30_000;

export function addServe(program: Command, cli: Cli): void {
  program
    .command('serve')
    .summary('answer requests over HTTP, as OpenAI does')
    .description(
      'Serves a model by the API of OpenAI: /v1/completions, /v1/chat/completions and /v1/models, with /health and ' +
        '/metrics beside them. Whatever model a request names, the one that is loaded answers. Requests are decoded ' +
        'together; what one becomes does not depend on the others. Listens on this machine only, unless --host says ' +
        'otherwise; then a key is needed. Ctrl-C lets answers on their way end; a second Ctrl-C does not.',
    )
    .requiredOption('--model <DIR>', 'model directory')
    .option('--adapter <DIR>', 'directory of a PEFT LoRA adapter for that model')
    .option('--name <NAME>', "name under which the model is listed; default: the directory's")
    .option('--host <ADDRESS>', 'address to listen on', '127.0.0.1')
    .option('--port <NUMBER>', 'port to listen on; 0 takes a free one', wholeNumber(0), 8000)
    .option('--api-key <KEY>', 'key that requests must bring; default: the variable PREFGRAD_API_KEY')
    .option('--max-sequences <COUNT>', 'texts decoded at the same time', wholeNumber(1), 16)
    .option(
      '--max-requests <COUNT>',
      'requests answered or waiting; further ones get 429',
      wholeNumber(1),
      256,
    )
    .option(
      '--max-body-bytes <BYTES>',
      'largest request; larger ones get 413',
      wholeNumber(1024),
      8 * 2 ** 20,
    )
    .option(
      '--cache-mib <MIB>',
      'most memory for keys and values; without it, what --max-sequences texts of full length take',
      numberFrom(1),
    )
    .option('--timeout <SECONDS>', 'longest time for one answer', numberFrom(1), 600)
    .addHelpText(
      'after',
      `
Examples:
  prefgrad serve --model runs/dpo/model --port 8000
  curl http://127.0.0.1:8000/v1/completions -d '{"prompt": "Once upon a time", "max_tokens": 32}'

${EXIT_CODES}`,
    )
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const { startServer } = await import('./serve.ts');
      const running = await startServer(await cli.runtime(), {
        ...options,
        apiKey: options.apiKey ?? process.env.PREFGRAD_API_KEY,
        log: (line) => cli.err(`${line}\n`),
      });
      cli.out(`${running.url}\n`);
      cli.err('Ctrl-C stops the server.\n');
      await new Promise<void>((resolve) => {
        listenForInterrupt(() => resolve());
      });
      cli.err('Stopping: answers on their way may end.\n');
      await running.stop(GRACE);
    });
}
