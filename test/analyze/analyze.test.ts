/** `prefgrad analyze` and `prefgrad report` on short runs of stories260K (test/fixtures/analyze/make.sh). */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Resvg } from '@resvg/resvg-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Result } from '../../src/analyze/figure.ts';
import { analyses } from '../../src/analyze/registry.ts';
import type { Cli } from '../../src/cli/context.ts';
import { runCli } from '../../src/cli/program.ts';
import { testRuntime } from '../support/runtime.ts';

const FIXTURES = 'test/fixtures/analyze';
const folder = mkdtempSync(join(tmpdir(), 'prefgrad-analyze-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function prefgrad(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const said = { out: '', err: '' };
  const cli: Cli = {
    out: (text) => {
      said.out += text;
    },
    err: (text) => {
      said.err += text;
    },
    terminal: undefined,
    runtime: async () => testRuntime(),
    exitCode: 0,
  };
  return { code: await runCli(args, cli), ...said };
}

const RUNS = ['dpo', 'dpo-bmc', 'mipo', 'epsilon-dpo'].flatMap((name) => ['--run', `${FIXTURES}/${name}`]);
const SCORES = ['dpo', 'dpo-bmc', 'mipo'].flatMap((name) => ['--scores', `${FIXTURES}/${name}.jsonl.gz`]);
const OTHERS = [
  '--sweep',
  `${FIXTURES}/sweep.jsonl`,
  '--report',
  `${FIXTURES}/bridged.report.json`,
  '--baseline',
  'dpo',
];

describe('analyze --all', () => {
  let results: Result[];

  beforeAll(async () => {
    const { code, err } = await prefgrad('analyze', '--all', ...RUNS, ...SCORES, ...OTHERS, '--out', folder);
    expect(err).toBe('');
    expect(code).toBe(0);
    results = readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Result);
  });

  it('makes every analysis that there is', () => {
    const made = new Set(results.map(({ name }) => name));
    const without = Object.keys(analyses).filter((name) => ![...made].some((file) => file.startsWith(name)));
    expect(without).toEqual([]);
  });

  it('gives every figure a title, axes and finite numbers', () => {
    for (const result of results) {
      expect(result.title, result.name).not.toBe('');
      if (result.kind === 'table') {
        expect(result.rows.length, result.name).toBeGreaterThan(0);
        expect(
          result.rows.every((row) => row.length === result.columns.length),
          result.name,
        ).toBe(true);
        continue;
      }
      const points = result.series.flatMap((series) => series.points);
      expect(points.length, result.name).toBeGreaterThan(0);
      expect(
        points.filter(({ y }) => !Number.isFinite(y)),
        result.name,
      ).toEqual([]);
      expect(result.x.label && result.y.label, result.name).not.toBe('');
    }
  });

  it('draws every figure in both themes, as a file that stands for itself', () => {
    const figures = results.filter(({ kind }) => kind === 'figure');
    for (const { name } of figures) {
      for (const file of [`${name}.svg`, `${name}-dark.svg`]) {
        const svg = readFileSync(join(folder, file), 'utf8');
        expect(svg, file).not.toMatch(/NaN|undefined|<script|url\(http/);
        expect(new Resvg(svg).width, file).toBe(520);
      }
    }
  });

  it('starts the gain of MIPO 4 at 0, where the policy is its reference', () => {
    const figure = results.find(({ name }) => name === 'mipo-4');
    if (figure?.kind !== 'figure') throw new Error('not there');
    expect(figure.series).toHaveLength(8);
    for (const { points } of figure.series) expect(points[0]).toEqual({ x: 0, y: expect.closeTo(0, 6) });
  });

  it('counts the pairs of every score file in the table of BMC 5.3', () => {
    const table = results.find(({ name }) => name === 'bmc-5.3');
    if (table?.kind !== 'table') throw new Error('not there');
    expect(table.rows.map(([method, pairs]) => [method, pairs])).toEqual([
      ['dpo', 24],
      ['dpo-bmc', 24],
      ['mipo', 24],
    ]);
  });
});

describe('analyze', () => {
  it('lists what there is', async () => {
    const { code, out } = await prefgrad('analyze');
    expect(code).toBe(0);
    for (const name of Object.keys(analyses)) expect(out).toContain(name);
  });

  it('says what a figure lacks, with exit code 2', async () => {
    const { code, err } = await prefgrad('analyze', 'bmc-9', '--out', join(folder, 'none'));
    expect(code).toBe(2);
    expect(err).toContain('bmc-9 needs --run DIR whose metrics.jsonl has eval_kl_chosen');
    expect(existsSync(join(folder, 'none'))).toBe(false);
  });

  it('knows a mistyped name', async () => {
    const { code, err } = await prefgrad('analyze', 'bmc9');
    expect(code).toBe(2);
    expect(err).toContain('did you mean bmc-9?');
  });

  it('names the file and the line of what is no score', async () => {
    const { code, err } = await prefgrad('analyze', 'bmc-2', '--scores', `x=${FIXTURES}/sweep.jsonl`);
    expect(code).toBe(2);
    expect(err).toContain(`${FIXTURES}/sweep.jsonl:1: not a line of "prefgrad score"`);
  });
});

describe('report', () => {
  const path = join(folder, 'report.html');

  it('is one page of runs side by side that loads nothing and runs nothing', async () => {
    const runs = ['dpo', 'mipo'].map((name) => `${FIXTURES}/${name}`);
    const { code, out } = await prefgrad('report', ...runs, ...SCORES, '--out', path);
    expect(code).toBe(0);
    expect(out.trim()).toBe(path);
    const page = readFileSync(path, 'utf8');
    expect(page).not.toMatch(/<script|<link|<img|src=|url\(|@import|href=/);
    for (const heading of ['Settings', 'Curves', 'Evaluation', 'Analyses', 'Token rewards', 'Samples'])
      expect(page).toContain(`<h2>${heading}</h2>`);
    expect(page).toContain('objective.name');
    expect(page).not.toMatch(/>(NaN|undefined|\[object Object\])</);
  });

  it('escapes what texts have of markup', async () => {
    const { html } = await import('../../src/analyze/report/html.ts');
    expect(html`<td>${'<b> & "x"'}</td>`.text).toBe('<td>&lt;b&gt; &amp; &quot;x&quot;</td>');
  });

  it('asks for runs', async () => {
    const { code, err } = await prefgrad('report');
    expect(code).toBe(2);
    expect(err).toContain('prefgrad report RUN...');
  });
});
