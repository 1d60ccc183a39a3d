/** Runs that are started together with one cache directory end as they would alone. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, expect, it } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-shared-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A run of one step, as a process. */
async function run(output: string): Promise<{ code: unknown; said: string }> {
  const args = ['train', join(folder, 'run.yaml'), '--set', `output_dir=${join(folder, output)}`];
  const child = spawn(process.execPath, [resolve('bin/prefgrad.js'), ...args]);
  let said = '';
  child.stderr.on('data', (text) => {
    said += text;
  });
  return { code: await new Promise((done) => child.once('close', done)), said };
}

it('two runs write one reference cache at the same time', async () => {
  const config = {
    model: { path: resolve('examples/stories260K') },
    objective: 'dpo',
    reference: { mode: 'precompute', cache_dir: join(folder, 'cache') },
    data: { train: resolve('examples/quickstart/train.jsonl'), max_length: 96, max_rows: 8 },
    training: { max_steps: 1, per_device_train_batch_size: 2 },
    output_dir: join(folder, 'none'),
  };
  writeFileSync(join(folder, 'run.yaml'), JSON.stringify(config));
  const ended = await Promise.all(['a', 'b'].map(run));
  for (const { code, said } of ended) expect(code, said).toBe(0);
  const weights = (name: string) => readFileSync(join(folder, name, 'model/model.safetensors'));
  expect(weights('a').equals(weights('b'))).toBe(true);
  expect(readdirSync(join(folder, 'cache'))).toEqual([expect.stringMatching(/^logps-\w+\.safetensors$/)]);

  const { code, said } = await run('c');
  expect(code, said).toBe(0);
  expect(said).toContain('Reference log-probs of 8 rows: found in');
  expect(weights('c').equals(weights('a'))).toBe(true);
});
