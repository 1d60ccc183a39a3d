/** `npm run study -- --quick`, whole: it ends with a table and figures, and a second run finds everything done. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';

const out = mkdtempSync(join(tmpdir(), 'prefgrad-study-'));
afterAll(() => rmSync(out, { recursive: true, force: true }));

const study = async (...options: readonly string[]) => {
  const command = ['--import', 'tsx', 'examples/study/main.ts', '--quick', '--out', out, ...options];
  return promisify(execFile)(process.execPath, command, { maxBuffer: 2 ** 24 });
};

describe('npm run study -- --quick', () => {
  it('goes from nothing to the table and every figure, and on from where it was', async () => {
    const first = await study();
    const record = JSON.parse(readFileSync(join(out, 'study.json'), 'utf8'));
    expect(record).toMatchObject({ size: 'quick', tuned_on: 'validation' });
    expect(record.rows.map(({ method }: { method: string }) => method)).toEqual([
      'base model',
      ...['SFT', 'DPO', 'DPO-BC', 'DPO-MC', 'DPO-BMC', 'MIPO', 'epsilon-DPO'],
    ]);
    expect(first.stdout).toContain(readFileSync(join(out, 'table.md'), 'utf8'));
    const figures = readdirSync(join(out, 'figures')).filter((name) => name.endsWith('.json'));
    for (const name of ['bmc-2', 'bmc-3', 'bmc-4', 'bmc-5', 'mipo-4', 'epsilon-3'])
      expect(figures.filter((figure) => figure.startsWith(name))).not.toEqual([]);
    expect(existsSync(join(out, 'bridged.jsonl.report.json'))).toBe(true);

    const again = await study('--tune-on', 'validation');
    expect(again.stdout).not.toContain('SFT step');
    expect(again.stdout).toContain(readFileSync(join(out, 'table.md'), 'utf8'));
  });

  it('warns whoever tunes on the test problems', async () => {
    const { stderr } = await study('--tune-on', 'test');
    expect(stderr).toContain('Warning: settings that are chosen on the test problems');
    expect(JSON.parse(readFileSync(join(out, 'study.json'), 'utf8')).tuned_on).toBe('test');
  });
});
