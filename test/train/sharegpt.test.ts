/** A run on real sharegpt rows, with a Llama-3-style tokenizer and chat template, as people bring them. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { writeRandomLlama } from '../../bench/random-llama.ts';
import { trainConfigFrom } from '../../src/train/config.ts';
import { train } from '../../src/train/train.ts';
import { testRuntime } from '../support/runtime.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-sharegpt-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('trains on dpo_en_demo.json', async () => {
  const model = join(folder, 'model');
  const tokenizer = JSON.parse(readFileSync('test/fixtures/llama3-style/tokenizer.json', 'utf8')) as {
    model: { vocab: Record<string, number> };
    added_tokens: { id: number }[];
  };
  const ids = [...Object.values(tokenizer.model.vocab), ...tokenizer.added_tokens.map(({ id }) => id)];
  const vocabulary = Math.max(...ids) + 1;
  await writeRandomLlama(model, { vocabulary, hidden: 16, inner: 32, layers: 1, heads: 2, kvHeads: 1 });
  for (const name of ['tokenizer.json', 'tokenizer_config.json'])
    copyFileSync(`test/fixtures/llama3-style/${name}`, join(model, name));
  const config = trainConfigFrom({
    model: { path: model },
    objective: { name: 'dpo', bmc: {} },
    lora: { r: 4 },
    data: { train: 'examples/data/dpo_en_demo.json', format: 'sharegpt', max_length: 256, max_rows: 6 },
    training: { learning_rate: 1e-3, max_steps: 3, per_device_train_batch_size: 2 },
    output_dir: join(folder, 'run'),
  });
  const notes: string[] = [];
  const losses: number[] = [];
  const summary = await train(testRuntime(), config, {
    note: (line) => notes.push(line),
    start() {},
    step: ({ metrics }) => losses.push(metrics.loss),
    evaluated() {},
    checkpoint() {},
    shouldStop: () => false,
    finish() {},
  });
  expect(summary.outcome).toBe('finished');
  expect(notes.join('\n')).toMatch(/dpo_en_demo\.json: 6 rows read as sharegpt, .*; 3 kept, 3 truncated/);
  expect(losses).toHaveLength(3);
  expect(losses[0]).toBeCloseTo(Math.LN2, 4);
});
