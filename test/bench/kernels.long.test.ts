/** The report of `bench -- kernels`, over a small list of shapes. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { markdown, type Report } from '../../bench/report.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-bench-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('has the form others rely on, and every result was checked first', () => {
  const out = join(folder, 'kernels.json');
  const args = ['--import', 'tsx', 'bench/run.ts', 'kernels', '--quick', '--out', out];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  const report = JSON.parse(readFileSync(out, 'utf8')) as Report;
  expect(Object.keys(report)).toEqual(['adapter', 'driver', 'date', 'commit', 'rows']);
  expect(report.rows.length).toBeGreaterThan(8);
  for (const row of report.rows) {
    expect(Object.keys(row).sort()).toEqual([
      'checked',
      'note',
      'ours_ms',
      'peer',
      'peer_ms',
      'ratio',
      'shape',
      'work',
    ]);
    expect(row.checked, row.work).toBe(true);
  }
  expect(stdout).toContain(markdown(report).split('\n')[2]);
});
