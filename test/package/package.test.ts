/** The package as others get it: the tarball, installed, typed, and running in Node. page.long.test.ts has it in a page. */
import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VERSION } from '../../src/version.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const consumer = mkdtempSync(join(tmpdir(), 'prefgrad-consumer-'));
afterAll(() => rmSync(consumer, { recursive: true, force: true }));

function run(command: string, args: readonly string[], cwd: string) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  return { status, stdout, stderr };
}

interface Manifest {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
const installed = join(consumer, 'node_modules/prefgrad');
/** Paths of what the tarball holds, types aside. */
let contents: string[] = [];

/** Packs the package and unpacks it into a project that has its dependencies and nothing else. */
beforeAll(() => {
  for (const args of [
    ['run', '--silent', 'build'],
    ['run', '--silent', 'web:build'],
    ['pack', '--silent', '--ignore-scripts', '--pack-destination', consumer],
  ]) {
    const { status, stdout, stderr } = run('npm', args, root);
    if (status !== 0) throw new Error(stderr + stdout);
  }
  mkdirSync(installed, { recursive: true });
  const tarball = join(consumer, `prefgrad-${manifest.version}.tgz`);
  run('tar', ['-xzf', tarball, '-C', installed, '--strip-components', '1'], consumer);
  contents = readdirSync(installed, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(installed.length + 1))
    .filter((path) => !/^(dist\/types|web\/dist\/(assets|models))\//.test(path))
    .sort();
  writeFileSync(join(consumer, 'package.json'), '{"type": "module"}');
  for (const name of [...Object.keys(manifest.dependencies), '@types/node', 'undici-types']) {
    const link = join(consumer, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), link);
  }
});

describe('the tarball', () => {
  it('holds one build, the command line, the page, the set-up, and no sources', () => {
    const chunks = /^dist\/[\w.-]+-[\w-]{8}\.js$/;
    expect(contents.filter((path) => !chunks.test(path))).toEqual([
      'LICENSE',
      'README.md',
      'bin/prefgrad.js',
      'dist/THIRD_PARTY.md',
      'dist/cli.js',
      'dist/deno.js',
      'dist/index.js',
      'dist/node.js',
      'examples/prompts/benchmarks.yaml',
      'examples/prompts/bridge-instructions.yaml',
      'examples/prompts/bridge-qa-maths.yaml',
      'examples/prompts/judge.yaml',
      'examples/prompts/weigh.yaml',
      'package.json',
      'scripts/adapter-plan.mjs',
      'scripts/apt-sources.mjs',
      'scripts/dependencies.mjs',
      'scripts/install-adapter.mjs',
      'scripts/matrices.mjs',
      'scripts/own-loader.mjs',
      'scripts/probe-adapter.mjs',
      'scripts/setup-lock.mjs',
      'scripts/setup.mjs',
      'scripts/swiftshader.mjs',
      'web/dist/index.html',
      'web/dist/scores.json',
    ]);
  });

  it('imports no package in what a page loads', () => {
    const seen = new Set<string>();
    const visit = (file: string): string[] => {
      if (seen.has(file)) return [];
      seen.add(file);
      const source = readFileSync(join(installed, 'dist', file), 'utf8');
      const names = [...source.matchAll(/^(?:import|export)\b.*?from "([^"]+)";$/gm)].map(([, name]) => name);
      return names.flatMap((name) => (name.startsWith('./') ? visit(name.slice(2)) : [`${file}: ${name}`]));
    };
    expect(visit('index.js')).toEqual([]);
  });

  it('is published without a word of warning', () => {
    // What prepack makes is there already; nobody is logged in, and nothing is asked of a registry. Other warnings than those of
    // publishing are about the settings of this machine.
    const { status, stderr } = run('npm', ['publish', '--dry-run', '--ignore-scripts', '--offline'], root);
    expect(status, stderr).toBe(0);
    const warnings = stderr.split('\n').filter((line) => /^npm (warn publish|error) /i.test(line));
    expect(warnings.filter((line) => !line.includes('requires you to be logged in'))).toEqual([]);
  });

  it('knows its version', () => {
    expect(VERSION).toBe(manifest.version);
  });

  it('runs its command line without tsx', () => {
    const cli = (...args: string[]) =>
      run(process.execPath, ['node_modules/prefgrad/bin/prefgrad.js', ...args], consumer);
    expect(cli('--version')).toEqual({ status: 0, stdout: `${manifest.version}\n`, stderr: '' });
    expect(cli('objectives').stdout).toContain('epsilon-dpo');
  });
});

describe('import ... from "prefgrad"', () => {
  it('runs in Node', () => {
    const script =
      "import { createRun, objectives } from 'prefgrad'; console.log(objectives.length, typeof createRun)";
    writeFileSync(join(consumer, 'use.mjs'), script);
    expect(run(process.execPath, ['use.mjs'], consumer)).toMatchObject({
      status: 0,
      stdout: '15 function\n',
    });
  });

  const PLATFORMS = [
    ['the DOM', ['--lib', 'es2022,dom', '--types', '']],
    ["Node's types", ['--lib', 'es2022', '--types', 'node']],
  ] as const;
  const RESOLUTIONS = [
    ['nodenext', ['--module', 'nodenext']],
    ['bundler', ['--module', 'esnext', '--moduleResolution', 'bundler']],
  ] as const;

  const check = (program: string, options: readonly string[]) => {
    writeFileSync(join(consumer, 'use.ts'), program);
    const tsc = join(root, 'node_modules/.bin/tsc');
    return run(tsc, ['--noEmit', '--strict', '--target', 'es2022', ...options, 'use.ts'], consumer);
  };

  describe.each(PLATFORMS)('with %s', (_, platform) => {
    it.each(RESOLUTIONS)(
      'has types that a strict program with checked libraries compiles against: %s',
      (_, resolution) => {
        const program = readFileSync(join(root, 'test/package/program.ts.txt'), 'utf8');
        expect(check(program, [...platform, ...resolution])).toMatchObject({ stdout: '', status: 0 });
      },
    );
  });

  it('has types that refuse what is wrong', () => {
    const wrong =
      "import type { Run } from 'prefgrad';\nexport const wrong: string = (null as unknown as Run).totalSteps;";
    const { stdout } = check(wrong, [...PLATFORMS[0][1], ...RESOLUTIONS[1][1]]);
    expect(stdout).toMatch(/use\.ts\(2,14\): error TS2322/);
  });
});
