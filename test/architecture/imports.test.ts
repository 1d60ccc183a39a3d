/** The layers (docs/architecture.md): a folder does one thing, imports point downwards only. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';

const STEP = ['objectives', 'models', 'nn', 'ops', 'autograd', 'gpu', 'formats', 'data', 'runtime'];
const RUN = ['step', 'optim', ...STEP];

/** Folders in the order of the layers; a file imports from its own folder and from those listed for it. */
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
  cases: ['objectives', 'ops', 'autograd', 'gpu', 'formats', 'data', 'runtime'],
  optim: ['nn', 'ops', 'autograd', 'gpu', 'formats', 'runtime'],
  step: [...STEP, 'optim'],
  generate: ['step', ...STEP],
  score: RUN,
  // Tasks are answered, and samples are scored, between the steps of a run.
  train: ['evaluate', 'score', 'generate', ...RUN],
  evaluate: ['preferences', 'llm', 'generate', ...RUN],
  // Reads what training and scoring wrote; statistics are those of evaluation.
  analyze: ['evaluate', 'score', 'train', 'formats', 'data', 'runtime'],
  llm: ['runtime'],
  serve: ['generate', ...STEP],
  preferences: ['llm', 'generate', ...RUN],
  api: ['score', 'train', 'generate', ...RUN],
  cli: ['analyze', 'serve', 'cases', 'preferences', 'evaluate', 'llm', 'score', 'train', 'generate', ...RUN],
};
/** Pure helpers that any folder may use. */
const SHARED = new Set([
  'errors.ts',
  'nearest.ts',
  'json-text.ts',
  'yaml-values.ts',
  'digest.ts',
  'registry.ts',
  'schema-problems.ts',
  'version.ts',
]);
/** May touch what only one platform has; serve is a server on node:http, which only the command line starts. */
const PLATFORM = new Set(['runtime', 'cli', 'serve']);

/** Seeded random numbers are arithmetic; models draw LoRA's first values, tests of ops their inputs. */
const ALSO: readonly string[] = ['data/random.ts'];

/** What those outside of src import: the API, and what the page and the benchmarks need below it. */
const ENTRIES = new Set(['index.ts', 'engine.ts']);

const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
);
const folderOf = (path: string) => path.split('/')[0];
const sourceOf = (path: string) => readFileSync(join('src', path), 'utf8');
const importsOf = (path: string) =>
  [...sourceOf(path).matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(([, name]) => name);

describe('the layers', () => {
  it('list every folder of src', () => {
    const folders = new Set(files.map(folderOf).filter((folder) => !folder.endsWith('.ts')));
    expect([...folders].sort()).toEqual(Object.keys(BELOW).sort());
  });

  it('import downwards only', () => {
    const wrong = files.flatMap((path) =>
      importsOf(path)
        .filter((name) => name.startsWith('.'))
        .map((name) => normalize(join(dirname(path), name)))
        .filter((target) => {
          const [from, to] = [folderOf(path), folderOf(target)];
          const isPlanned = from === to || SHARED.has(target) || (BELOW[from] ?? []).includes(to);
          return !isPlanned && !ENTRIES.has(path) && !ALSO.includes(target);
        })
        .map((target) => `${path} -> ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it('know their platform in runtime and cli alone', () => {
    const platform = /\b(process\.|Deno\.|navigator\.|window\.|document\.)|from 'node:/;
    const wrong = files.filter((path) => !PLATFORM.has(folderOf(path)) && platform.test(codeOf(path)));
    expect(wrong).toEqual([]);
  });

  it('launch kernels in ops alone, by family', () => {
    const launching = files.filter((path) => /\brecorder\.launch\(/.test(codeOf(path)));
    expect(launching.length).toBeGreaterThan(20);
    expect(launching.filter((path) => folderOf(path) !== 'ops')).toEqual([]);
  });

  it('reach Open MPI from doctor, and from what a rank of several is started with', () => {
    const importing = (file: string) =>
      files.filter((path) => importsOf(path).some((name) => name.endsWith(`/${file}`))).sort();
    expect(importing('open-mpi.ts')).toEqual(['cli/doctor.ts', 'cli/job.ts']);
    expect(importing('job.ts')).toEqual(['cli/main.ts']);
    expect(codeOf('cli/main.ts')).toMatch(
      /startedRanks\(process\.env\) > 1 \? await \(await import\('\.\/job\.ts'\)\)/,
    );
  });

  it('import nothing of examples, tests, benchmarks or the page', () => {
    const wrong = files.filter((path) =>
      importsOf(path).some((name) => /(^|\/)(examples|test|bench|web)\//.test(name)),
    );
    expect(wrong).toEqual([]);
  });
});

/** Files of a folder beside src that import something else than `allowed`, each with what it imports. */
function foreignImports(folder: string, allowed: RegExp): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.startsWith('dist/'))
    .map((name) => join(folder, name))
    .flatMap((path) =>
      [
        ...readFileSync(path, 'utf8').matchAll(
          /^(?:import|export) ([^;]*?)from '(\.[^']+)'|import\('(\.[^']+)'\)/gms,
        ),
      ]
        .map(([, what, name, lazy]) => {
          const target = normalize(join(dirname(path), name ?? lazy));
          return `${what?.startsWith('type ') ? 'type ' : ''}${target}`;
        })
        .filter((target) => !allowed.test(target))
        .map((target) => `${path} -> ${target}`),
    );
}

describe('outside of src', () => {
  it("the page's worker imports entries of src alone", () => {
    expect(foreignImports('web/worker', /^(type )?(web\/worker\/|src\/(index|engine)\.ts$)/)).toEqual([]);
  });

  it('the page imports types of its worker, and of src how figures are drawn', () => {
    const drawing = 'src\\/analyze\\/(figure|plot-options|theme)\\.ts$';
    const allowed = new RegExp(`^((type )?web\\/app\\/|type web\\/worker\\/|(type )?${drawing})`);
    expect(foreignImports('web/app', allowed)).toEqual([]);
  });

  it('benchmarks import entries of src alone, what starts ranks, and nothing of the tests', () => {
    const entries = 'index|engine|gpu\\/index|ops\\/index|runtime\\/open-mpi|runtime\\/ranks';
    const allowed = new RegExp(`^(type )?(bench\\/|src\\/(${entries})\\.ts$)`);
    expect(foreignImports('bench', allowed)).toEqual([]);
  });
});

/** Source without comments, whose words are free. */
function codeOf(path: string): string {
  return sourceOf(path)
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/\/\/.*$/gm, '');
}
