/** What a GPU box measured becomes a report and README's table, also where a phase was cut short. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { merge } from '../../bench/gpu-box/merge.ts';
import type { Report, Row } from '../../bench/report.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-merge-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const row: Row = {
  work: 'matmul f32',
  shape: '4096 x 4096 x 4096',
  ours_ms: 3,
  peer: 'tile16',
  peer_ms: 9,
  ratio: 3,
  checked: true,
  note: '',
};

it("takes the rows of every phase, the cut line of a killed one aside, and keeps README's other text", () => {
  const [box, results] = ['box', 'results'].map((name) => join(folder, name));
  for (const path of [box, results]) mkdirSync(path);
  const chosen = {
    isChosen: true,
    vendor: 'nvidia',
    architecture: 'hopper',
    device: 'H200',
    description: 'Driver 570',
  };
  writeFileSync(join(box, 'doctor.json'), JSON.stringify({ version: '1', adapters: [chosen] }));
  writeFileSync(join(box, 'box.json'), JSON.stringify({ date: '2026-12-01T00:00:00Z', commit: 'abc1234' }));
  writeFileSync(join(box, '1-conformance.jsonl'), '{"group":"ops","name":"linear","seconds":1}\n');
  writeFileSync(join(box, '2-products.jsonl'), `${JSON.stringify(row)}\n{"work":"cut`);
  const readme = join(folder, 'README.md');
  const marks = ['<!-- results of GPUs: npm run bench -- merge -->', '<!-- end of results of GPUs -->'];
  writeFileSync(readme, `before\n${marks[0]}\nnot measured\n${marks[1]}\nafter\n`);

  merge(box, { results, readme });
  const report = JSON.parse(readFileSync(join(results, 'gpu-nvidia-hopper-h200.json'), 'utf8')) as Report;
  expect(report).toEqual({
    adapter: 'nvidia hopper H200',
    driver: 'Driver 570',
    date: '2026-12-01T00:00:00Z',
    commit: 'abc1234',
    rows: [row],
  });
  const text = readFileSync(readme, 'utf8');
  expect(text).toMatch(/^before\n/);
  expect(text).toMatch(/\nafter\n$/);
  expect(text).toContain('| matmul f32 | 4096 x 4096 x 4096 | 3.00 | tile16 | 9.00 | 3.000 | yes |');
  expect(text).not.toContain('not measured');
});

it("finds its place in this project's README", () => {
  const text = readFileSync('README.md', 'utf8');
  expect(text.indexOf('<!-- results of GPUs: npm run bench -- merge -->')).toBeGreaterThan(0);
  expect(text).toContain('<!-- end of results of GPUs -->');
});
