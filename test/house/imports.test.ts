/** The floor plan (docs/architecture.md): a room does one thing, a door opens downwards only. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';

/** Rooms in the order of the plan; a file imports from its own room and from those listed for it. */
const BELOW: Readonly<Record<string, readonly string[]>> = {
  runtime: [],
  gpu: ['runtime'],
  autograd: ['gpu'],
  ops: ['autograd', 'gpu'],
  nn: ['ops', 'autograd', 'gpu'],
  formats: ['runtime'],
  data: ['runtime'],
  models: ['nn', 'ops', 'autograd', 'gpu', 'formats', 'data', 'runtime'],
  objectives: ['ops', 'autograd', 'gpu'],
  generate: ['models', 'nn', 'ops', 'autograd', 'gpu', 'data'],
  train: ['generate', 'objectives', 'models', 'nn', 'ops', 'autograd', 'gpu', 'formats', 'data', 'runtime'],
  evaluate: ['train', 'objectives', 'models', 'nn', 'ops', 'autograd', 'gpu', 'formats', 'data', 'runtime'],
  cli: [
    'evaluate',
    'train',
    'generate',
    'objectives',
    'models',
    'ops',
    'autograd',
    'gpu',
    'formats',
    'data',
    'runtime',
  ],
};
/** Pure helpers that any room may use. */
const SHARED = new Set(['errors.ts', 'nearest.ts', 'digest.ts']);
/** May touch what only one platform has. */
const PLATFORM = new Set(['runtime', 'cli']);

/** Seeded random numbers are arithmetic; models draw LoRA's first values, tests of ops their inputs. */
const ALSO: readonly string[] = ['data/random.ts'];

const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
);
const roomOf = (path: string) => path.split('/')[0];
const sourceOf = (path: string) => readFileSync(join('src', path), 'utf8');
const importsOf = (path: string) =>
  [...sourceOf(path).matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(([, name]) => name);

describe('the house', () => {
  it('has a place in the plan for every room', () => {
    const rooms = new Set(files.map(roomOf).filter((room) => !room.endsWith('.ts')));
    expect([...rooms].sort()).toEqual(Object.keys(BELOW).sort());
  });

  it('has doors that open downwards only', () => {
    const wrong = files.flatMap((path) =>
      importsOf(path)
        .filter((name) => name.startsWith('.'))
        .map((name) => normalize(join(dirname(path), name)))
        .filter((target) => {
          const [from, to] = [roomOf(path), roomOf(target)];
          const isPlanned = from === to || SHARED.has(target) || (BELOW[from] ?? []).includes(to);
          // The package's front door leads everywhere.
          return !isPlanned && path !== 'index.ts' && !ALSO.includes(target);
        })
        .map((target) => `${path} -> ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it('knows its platform in the runtime and the command line alone', () => {
    const platform = /\b(process\.|Deno\.|navigator\.|window\.|document\.)|from 'node:/;
    const wrong = files.filter((path) => !PLATFORM.has(roomOf(path)) && platform.test(codeOf(path)));
    expect(wrong).toEqual([]);
  });

  it('imports nothing of examples, tests, benchmarks or the page', () => {
    const wrong = files.filter((path) =>
      importsOf(path).some((name) => /(^|\/)(examples|test|bench|web)\//.test(name)),
    );
    expect(wrong).toEqual([]);
  });
});

/** Source without comments, whose words are free. */
function codeOf(path: string): string {
  return sourceOf(path)
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/\/\/.*$/gm, '');
}
