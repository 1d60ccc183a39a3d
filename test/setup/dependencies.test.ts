import * as fs from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type LockFile, missingPackages } from '../../scripts/dependencies.mjs';

const here = { runtimeOnly: false, platform: 'linux', arch: 'x64' };

const lock: LockFile = {
  packages: {
    '': {},
    'node_modules/a': { version: '1.0.0' },
    'node_modules/tool': { version: '2.0.0', dev: true },
    'node_modules/a-linux': { version: '1.0.0', optional: true, os: ['linux'], cpu: ['x64'] },
    'node_modules/a-mac': { version: '1.0.0', optional: true, os: ['darwin'], cpu: ['arm64'] },
  },
};

function installed(...names: string[]): LockFile {
  const entries = names.map((name) => [`node_modules/${name}`, lock.packages[`node_modules/${name}`]]);
  return { packages: Object.fromEntries(entries) };
}

describe('which packages npm ci has to bring', () => {
  it('all of this platform on a fresh clone', () => {
    expect(missingPackages(lock, undefined, here)).toEqual([
      'node_modules/a',
      'node_modules/tool',
      'node_modules/a-linux',
    ]);
  });

  it('none when all are there', () => {
    expect(missingPackages(lock, installed('a', 'tool', 'a-linux'), here)).toEqual([]);
  });

  it('those whose version has changed since', () => {
    const old = {
      packages: { ...installed('tool', 'a-linux').packages, 'node_modules/a': { version: '0.9.0' } },
    };
    expect(missingPackages(lock, old, here)).toEqual(['node_modules/a']);
  });

  it('the binaries of this platform when the folder comes from another', () => {
    expect(missingPackages(lock, installed('a', 'tool', 'a-mac'), here)).toEqual(['node_modules/a-linux']);
  });

  it('not the tools of tests and checks when only the program is to run', () => {
    expect(missingPackages(lock, installed('a', 'a-linux'), { ...here, runtimeOnly: true })).toEqual([]);
  });
});

describe('package-lock.json', () => {
  const text = fs.readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8');
  const packages: Record<string, { optionalDependencies?: Record<string, string> }> =
    JSON.parse(text).packages;

  it('names no registry', () => {
    expect(text).not.toContain('"resolved"');
  });

  it('knows the binaries of every platform, without which npm ci refuses to run', () => {
    const wanted = Object.values(packages).flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}));
    expect(wanted.filter((name) => !(`node_modules/${name}` in packages))).toEqual([]);
  });
});
