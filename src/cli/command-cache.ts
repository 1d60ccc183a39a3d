/** `prefgrad cache`. */
import type { Command } from 'commander';
import type { Cli } from './context.ts';
import { EXIT_CODES } from './failure.ts';

/** What set-up fetches into the user's cache, and can fetch again. */
const FETCHED = ['swiftshader', 'lavapipe-matrices'];

export function addCache(program: Command, cli: Cli): void {
  const cache = program
    .command('cache')
    .summary('what set-up has fetched for this user')
    .description(
      'Lists or removes the CPU adapters that set-up has fetched into the user cache, without root and beside the system. ' +
        'The next set-up fetches them again where they are needed.',
    )
    .addHelpText(
      'after',
      `
Examples:
  prefgrad cache
  prefgrad cache clean

${EXIT_CODES}`,
    );
  cache
    .command('list', { isDefault: true })
    .description('show what is there')
    .action(async () => {
      const found = await fetched(cli);
      cli.out(found.length === 0 ? 'Nothing was fetched.\n' : found.map((path) => `${path}\n`).join(''));
    });
  cache
    .command('clean')
    .description('remove it; answers of endpoints, which may have cost money, stay')
    .action(async () => {
      const { files } = await cli.runtime();
      for (const path of await fetched(cli)) {
        await files.remove(path);
        cli.out(`Removed ${path}\n`);
      }
    });
}

async function fetched(cli: Cli): Promise<string[]> {
  const { files, cacheDirectory } = await cli.runtime();
  const folder = cacheDirectory();
  const found: string[] = [];
  for (const name of folder === undefined ? [] : FETCHED)
    if (await files.exists(`${folder}/${name}`)) found.push(`${folder}/${name}`);
  return found;
}
