/** What `npm run quickstart` finds on a fresh clone: the packages that are no tools of development. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const clone = mkdtempSync(join(tmpdir(), 'prefgrad-clone-'));
afterAll(() => rmSync(clone, { recursive: true, force: true }));

beforeAll(() => {
  for (const name of ['bin', 'src', 'scripts', 'kernels', 'examples', 'package.json'])
    cpSync(name, join(clone, name), { recursive: true });
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Record<string, { dev?: boolean; devOptional?: boolean }>;
  };
  for (const [path, { dev, devOptional }] of Object.entries(packages)) {
    if (!/^node_modules\/(@[^/]+\/)?[^/]+$/.test(path) || dev || devOptional) continue;
    mkdirSync(dirname(join(clone, path)), { recursive: true });
    symlinkSync(resolve(path), join(clone, path));
  }
});

describe('with the packages that set-up --runtime-only installs', () => {
  it.each([['validate', 'examples/quickstart.yaml']])('prefgrad %s %s runs from the sources', (...args) => {
    const { status, stderr } = spawnSync(process.execPath, ['bin/prefgrad.js', ...args], {
      cwd: clone,
      encoding: 'utf8',
    });
    expect(status, stderr).toBe(0);
  });
});
