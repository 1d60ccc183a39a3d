/** `npx deno task prefgrad`, as the README has it: npx puts node_modules/.bin, with a deno of its own, before all else. */
import { spawnSync } from 'node:child_process';
import { delimiter, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { VERSION } from '../../src/version.ts';

it('starts the command line in Deno', () => {
  const env = { ...process.env, PATH: `${resolve('node_modules/.bin')}${delimiter}${process.env.PATH}` };
  const args = ['node_modules/deno/bin.cjs', 'task', 'prefgrad', '--version'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env });
  expect({ status, stdout }, stderr).toEqual({ status: 0, stdout: `${VERSION}\n` });
});
