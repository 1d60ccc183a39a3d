/** Results as files, on a real file system, in a directory that is not there yet. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Result } from '../../src/analyze/figure.ts';
import { writeResults } from '../../src/analyze/output.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-results-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const FIGURE: Result = {
  kind: 'figure',
  name: 'line',
  title: 'A line',
  x: { label: 'step' },
  y: { label: 'loss' },
  series: [{ name: 'a', mark: 'line', points: [1, 2].map((x) => ({ x, y: 1 / x })) }],
  caption: '',
  source: [],
};
const TABLE: Result = {
  kind: 'table',
  name: 'sums',
  title: 'Sums',
  columns: ['a', 'b'],
  rows: [['x', 1]],
  caption: '',
  source: [],
};

describe('writeResults', () => {
  const directory = join(folder, 'new/figures');
  const { files } = nodeRuntime();

  it('makes the directory, and writes what it says that it wrote', async () => {
    const rasterize = async () => new Uint8Array([1, 2]);
    const paths = await writeResults(files, directory, [FIGURE, TABLE], { rasterize });
    const names = ['line.json', 'line.svg', 'line-dark.svg', 'line.png', 'sums.json', 'sums.md'];
    expect(paths).toEqual(names.map((name) => `${directory}/${name}`));
    expect(readdirSync(directory).sort()).toEqual(names.sort());
    expect(JSON.parse(readFileSync(join(directory, 'sums.json'), 'utf8'))).toEqual(TABLE);
  });

  it('replaces nothing that is there, unless it is told to', async () => {
    const other = { ...TABLE, rows: [['x', 2]] };
    await expect(writeResults(files, directory, [other])).rejects.toThrow(/sums\.json/);
    expect(readFileSync(join(directory, 'sums.md'), 'utf8')).toContain('1');
    await writeResults(files, directory, [other], { force: true });
    expect(readFileSync(join(directory, 'sums.md'), 'utf8')).toContain('2');
  });
});
