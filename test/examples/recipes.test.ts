/** Every recipe in examples/ is a valid configuration, and trains once it is pointed at a small model and real rows. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/cli/config-file.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { train } from '../../src/train/train.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-recipes-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const recipes = readdirSync('examples').filter(
  (name) => name.endsWith('.yaml') && name !== 'quickstart.yaml',
);

describe('the recipes', () => {
  it('are those of the three papers and their neighbours', () => {
    expect(recipes).toEqual(['dpo-bmc.yaml', 'epsilon-dpo.yaml', 'kto.yaml', 'mipo.yaml', 'simpo-bmc.yaml']);
  });

  it.each(recipes)('%s trains', async (name) => {
    const runtime = nodeRuntime();
    const { config } = await loadConfig(runtime.files, join('examples', name), [
      'model.path=examples/stories260K',
      'data.train=examples/quickstart/train.jsonl',
      'data.max_length=96',
      'data.max_rows=4',
      'training.per_device_train_batch_size=2',
      'training.gradient_accumulation_steps=2',
      'training.max_steps=1',
      `output_dir=${join(folder, name)}`,
    ]);
    const losses: number[] = [];
    const summary = await train(runtime, config, {
      note() {},
      start() {},
      step: ({ metrics }) => losses.push(metrics.loss),
      evaluated() {},
      checkpoint() {},
      shouldStop: () => false,
      finish() {},
    });
    expect(summary.outcome).toBe('finished');
    expect(losses.every(Number.isFinite)).toBe(true);
    expect(summary.files.map(({ what }) => what)).toContain('PEFT adapter');
  });
});
