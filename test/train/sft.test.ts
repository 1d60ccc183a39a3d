/** Supervised fine-tuning: one answer per row, the turns of a conversation, and no trace of a second answer. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { shapeOf } from '../../src/data/batches.ts';
import { type Answer, chosenOnly, type Example } from '../../src/data/examples.ts';
import { trainConfigFrom } from '../../src/train/config.ts';
import { train } from '../../src/train/train.ts';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { testRuntime } from '../support/runtime.ts';
import { openTrainer, randomPairs, runSteps } from '../support/trainer.ts';

const single = (prompt: readonly number[], completion: Answer): Example => ({
  kind: 'unpaired',
  index: 0,
  line: 1,
  promptIds: Int32Array.from(prompt),
  completion,
  label: true,
  truncated: false,
});

async function losses(rows: readonly Example[], training: Record<string, unknown> = {}) {
  const trainer = await openTrainer(await testGpu(), {
    objective: { name: 'sft' },
    train: rows,
    training: { per_device_train_batch_size: rows.length, max_steps: 2, learning_rate: 1e-3, ...training },
  });
  const metrics = await runSteps(trainer, 2);
  trainer.free();
  trainer.policy.free();
  return metrics;
}

it('packs the chosen answers of pairs alone, equal answers or not', () => {
  for (const pair of randomPairs(3, 7, 3, 9)) {
    const { tokens, rows } = shapeOf(chosenOnly(pair));
    expect(tokens).toBe(pair.promptIds.length + pair.chosen.ids.length - 1);
    expect(rows).toBe(pair.chosen.ids.length);
  }
});

it('gives two turns in one row the loss and the step of two rows, packed or not', async () => {
  const [prompt, first, between, second] = [
    [1, 20, 31],
    [40, 41, 2],
    [50, 51, 52],
    [60, 61, 62, 2],
  ];
  const turns = [...first, ...between, ...second];
  const inLoss = [first, between, second].flatMap((part, i) => part.map(() => (i === 1 ? 0 : 1)));
  const conversation = single(prompt, { ids: Int32Array.from(turns), lossMask: Uint8Array.from(inLoss) });
  const rows = [
    single(prompt, { ids: Int32Array.from(first) }),
    single([...prompt, ...first, ...between], { ids: Int32Array.from(second) }),
  ];
  const [together, apart] = [await losses([conversation]), await losses(rows, { packing: false })];
  for (const name of ['loss', 'grad_norm'])
    expectClose(
      together.map((m) => m[name]),
      apart.map((m) => m[name]),
      1e-5,
      name,
    );
  expect(Object.keys(together[0]).filter((name) => /reward|rejected/.test(name))).toEqual([]);
});

it('runs from a file with columns of other names, and evaluates', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'prefgrad-sft-'));
  const rows = Array.from({ length: 8 }, (_, i) => ({
    problem: `Tim had ${i} balls.`,
    solution: ` He was ${i}.${' He was happy.'.repeat(i)}`,
  }));
  const data = join(folder, 'data.jsonl');
  writeFileSync(data, rows.map((row) => JSON.stringify(row)).join('\n'));
  const configOf = (name: string, training: object) =>
    trainConfigFrom({
      model: { path: 'examples/stories260K' },
      objective: { name: 'sft' },
      data: {
        train: data,
        eval: data,
        columns: { prompt: 'problem', completion: 'solution' },
        max_length: 96,
      },
      training: { learning_rate: 1e-3, per_device_train_batch_size: 4, logging_steps: 1, ...training },
      output_dir: join(folder, name),
    });
  const none = () => {};
  const hooks = { note: none, start: none, step: none, evaluated: none, checkpoint: none, finish: none };
  const run = (name: string, training: object) =>
    train(testRuntime(), configOf(name, training), { ...hooks, shouldStop: () => false });
  const { before, after } = await run('run', { num_train_epochs: 1 });
  expect(after?.eval_loss).toBeLessThan(Number(before?.eval_loss));
  // All rows fit one batch there. Here most have one each, and those of long answers count for more.
  const apart = await run('apart', { max_steps: 1, max_tokens_per_micro_batch: 96 });
  expectClose([apart.before?.eval_loss ?? 0], [before?.eval_loss ?? 0], 1e-5, 'eval_loss');
  const [line] = readFileSync(join(folder, 'run', 'metrics.jsonl'), 'utf8').split('\n');
  expect(Object.keys(JSON.parse(line))).not.toContain('eval_logps/rejected');
});
