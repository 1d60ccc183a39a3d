/** A clone's command line starts from dist/ while that is what the sources make. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

interface Built {
  isBuilt(): boolean;
  stamped(build: () => void): void;
}

let clone = '';
let built: Built;

beforeEach(async () => {
  clone = mkdtempSync(join(tmpdir(), 'prefgrad-built-'));
  for (const folder of ['src/cli', 'kernels', 'scripts', 'dist'])
    mkdirSync(join(clone, folder), { recursive: true });
  for (const file of ['src/cli/main.ts', 'package.json', 'package-lock.json', 'vite.package.config.ts'])
    writeFileSync(join(clone, file), '{}');
  cpSync('scripts/built.mjs', join(clone, 'scripts/built.mjs'));
  built = await import(join(clone, 'scripts/built.mjs'));
});
afterEach(() => rmSync(clone, { recursive: true, force: true }));

it('is not built before it is', () => {
  expect(built.isBuilt()).toBe(false);
  built.stamped(() => {});
  expect(built.isBuilt()).toBe(true);
});

it.each([
  ['was edited', () => writeFileSync(join(clone, 'src/cli/main.ts'), 'edited')],
  ['was added', () => writeFileSync(join(clone, 'kernels/added.wgsl'), '')],
  ['was deleted', () => rmSync(join(clone, 'src/cli/main.ts'))],
])('is no longer built when a source %s', (_, change) => {
  built.stamped(() => {});
  change();
  expect(built.isBuilt()).toBe(false);
});

it('takes links that lead nowhere, as editors leave them, and a missing lock file', () => {
  symlinkSync('nowhere', join(clone, 'src/.#main.ts'));
  built.stamped(() => {});
  expect(built.isBuilt()).toBe(true);
  rmSync(join(clone, 'package-lock.json'));
  expect(built.isBuilt()).toBe(false);
});

it('is not built when the build failed', () => {
  built.stamped(() => {});
  const fail = () => {
    throw new Error('failed');
  };
  expect(() => built.stamped(fail)).toThrow('failed');
  expect(built.isBuilt()).toBe(false);
});
