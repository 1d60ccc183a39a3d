/** A run that fails on the way loses nothing: the state before the failure is on disk, and the message says where. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { download, upload } from '../../src/autograd/tensor.ts';
import { RunError } from '../../src/errors.ts';
import { unshared } from '../../src/nn/shares.ts';
import type { FileSystem, Runtime } from '../../src/runtime/runtime.ts';
import { type TrainConfig, trainConfigFrom } from '../../src/train/config.ts';
import type { TrainHooks } from '../../src/train/hooks.ts';
import { NonFiniteError } from '../../src/train/non-finite-error.ts';
import { train } from '../../src/train/train.ts';
import type { Trainer } from '../../src/train/trainer.ts';
import { testGpu } from '../support/gpu.ts';
import { losing } from '../support/lost-device.ts';
import { readMetrics } from '../support/metrics.ts';
import { testRuntime } from '../support/runtime.ts';
import { openTrainer, randomPairs } from '../support/trainer.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-failures-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Everything a step may change. */
async function stateOf(trainer: Trainer): Promise<Record<string, number[]>> {
  const gpu = await testGpu();
  const tensors = Object.entries(trainer.objectiveState).filter(([name]) => !name.startsWith('step.'));
  for (const [name, tensor] of trainer.checkpointTensors()) tensors.push([name, unshared(tensor)]);
  const values = await Promise.all(tensors.map(async ([name, t]) => [name, [...(await download(gpu, t))]]));
  return Object.fromEntries(values);
}

describe('a gradient that is not finite', () => {
  it.each([
    ['dpo', { name: 'dpo' }],
    ['epsilon-dpo, whose beta moves', { name: 'epsilon-dpo', settings: { epsilon: 0.1 } }],
    ['beta-dpo, with its statistics', { name: 'beta-dpo' }],
    ['tr-dpo, whose reference moves', { name: 'tr-dpo', settings: { tau: 1 } }],
  ])('changes nothing, nor does the step after it: %s', async (_, objective) => {
    const gpu = await testGpu();
    const trainer = await openTrainer(gpu, {
      objective,
      reference: 'test/fixtures/torch/tiny-llama-reference',
      train: randomPairs(8, 3, 3, 9),
      training: { learning_rate: 1e-3, per_device_train_batch_size: 2, max_steps: 4 },
    });
    await trainer.runStep();
    const weight = trainer.policy.trained?.parameters.get('model.layers.0.mlp.up_proj.weight');
    if (weight === undefined) throw new Error('There is no such weight.');
    const good = await download(gpu, weight.master);
    upload(
      gpu,
      weight.master,
      good.map((w, i) => (i === 7 ? Number.NaN : w)),
    );
    const before = await stateOf(trainer);
    const failed = await trainer.enqueueStep();
    // The weight is as it was, so that only what the step before left behind can stop this one.
    upload(gpu, weight.master, good);
    const next = await trainer.enqueueStep();
    await expect(failed.report).rejects.toThrow(NonFiniteError);
    await expect(next.report).rejects.toThrow(NonFiniteError);
    const after = await stateOf(trainer);
    before[`master.${weight.name}`] = [...good];
    expect(after).toEqual(before);
    trainer.free();
  });
});

describe('training.debug: underflow_overflow', () => {
  it.each(['dpo', 'kto'])('names the first tensor that is not finite: %s', async (name) => {
    const gpu = await testGpu();
    const trainer = await openTrainer(gpu, {
      objective: { name },
      train: randomPairs(8, 3, 3, 9),
      training: { max_steps: 4, per_device_train_batch_size: 8, debug: 'underflow_overflow' },
    });
    await trainer.runStep();
    const weight = trainer.policy.trained?.parameters.get('model.layers.1.mlp.up_proj.weight');
    if (weight === undefined) throw new Error('There is no such weight.');
    const good = await download(gpu, weight.master);
    upload(gpu, weight.master, good.fill(Number.POSITIVE_INFINITY, 7, 8));
    const failed = await trainer.enqueueStep();
    // A step after it changes nothing in what is reported.
    await trainer.enqueueStep();
    await expect(failed.report).rejects.toThrow(
      /First not finite: gated_linear\(rms_norm, model\.layers\.1\.mlp\.gate_proj\.weight, model\.layers\.1\.mlp\.up_proj\.weight\)\. The largest finite value so far: \d/,
    );
    trainer.free();
  });
});

const quiet: TrainHooks = {
  note() {},
  start() {},
  step() {},
  evaluated() {},
  checkpoint() {},
  shouldStop: () => false,
  finish() {},
};

function configFor(name: string, changes: Record<string, unknown> = {}): TrainConfig {
  return trainConfigFrom({
    model: { path: 'examples/stories260K' },
    objective: 'simpo',
    data: { train: 'examples/quickstart/train.jsonl', max_length: 96, max_rows: 8 },
    output_dir: join(folder, name),
    ...changes,
    training: {
      learning_rate: 1e-4,
      max_steps: 4,
      per_device_train_batch_size: 2,
      logging_steps: 1,
      ...(changes.training as object),
    },
  });
}

const linesOf = (name: string) => readMetrics(join(folder, name, 'metrics.jsonl'));

describe('a run whose gradient becomes infinite', () => {
  it('names the step and its rows, and keeps the weights from before it', async () => {
    const config = configFor('infinite', { objective: 'slic' });
    // No learning rate that is allowed is bad enough.
    const bad = { ...config, training: { ...config.training, learning_rate: 1e38 } };
    const failure = await train(testRuntime(), bad, quiet).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(RunError);
    const { message } = failure as RunError;
    const [, step, good] =
      /^Step (\d): .* Its rows are examples\/quickstart\/train\.jsonl:\d+, examples\/quickstart\/train\.jsonl:\d+\..*checkpoint-(\d)$/.exec(
        message,
      ) ?? [];
    expect(Number(step), message).toBe(Number(good) + 1);
    expect(existsSync(join(config.output_dir, `checkpoint-${good}`, 'model.safetensors'))).toBe(true);
    expect(linesOf('infinite').map((line) => line.step)).toEqual(
      Array.from({ length: Number(good) }, (_, i) => i + 1),
    );
    expect(existsSync(join(config.output_dir, 'model'))).toBe(false);
  });
});

/** A runtime whose device is lost once the run has made `steps` steps, the first time it is opened. */
function losingAfter(steps: number): { runtime: Runtime; hooks: TrainHooks; notes: string[] } {
  const notes: string[] = [];
  let done = 0;
  const hooks: TrainHooks = {
    ...quiet,
    note: (line) => notes.push(line),
    step: ({ step }) => {
      done = step;
    },
  };
  return { runtime: losing(testRuntime(), () => done >= steps), hooks, notes };
}

describe('a device that is lost', () => {
  it('is opened again, once, and the run goes on from its last checkpoint to the same end', async () => {
    await train(testRuntime(), configFor('kept', { training: { save_steps: 2 } }), quiet);
    const { runtime, hooks, notes } = losingAfter(3);
    const summary = await train(runtime, configFor('lost', { training: { save_steps: 2 } }), hooks);
    expect(summary.outcome).toBe('finished');
    expect(notes.join('\n')).toContain(
      'The GPU device was lost: the test took it away Continuing from the last',
    );
    const weights = (name: string) => readFileSync(join(folder, name, 'model/model.safetensors'));
    expect(weights('lost').equals(weights('kept'))).toBe(true);
    expect(linesOf('lost')).toEqual(linesOf('kept'));
  });

  it('ends the run when there is nothing to go on from', async () => {
    const { runtime, hooks } = losingAfter(2);
    await expect(train(runtime, configFor('gone'), hooks)).rejects.toThrow(/The GPU device was lost/);
  });
});

/** Files that have room for so many bytes, counted over everything written. */
function withRoomFor(bytes: number): Runtime {
  const runtime = testRuntime();
  let left = bytes;
  const full = (path: string) => {
    throw new RunError(`${path}: the disk is full. Free some space and run again with --resume.`);
  };
  const files: FileSystem = {
    ...runtime.files,
    async create(path) {
      const sink = await runtime.files.create(path);
      return {
        ...sink,
        write: async (data) => {
          left -= data.length;
          if (left < 0) full(path);
          await sink.write(data);
        },
        close: () => sink.close(),
      };
    },
  };
  return { ...runtime, files };
}

describe('a disk that is full', () => {
  it('leaves whole checkpoints alone and no half of one, and the run can be resumed', async () => {
    const config = configFor('full', { training: { save_steps: 1 } });
    // A checkpoint takes about 4.2 MB: room for one and a half.
    await expect(train(withRoomFor(6_500_000), config, quiet)).rejects.toThrow(/the disk is full/);
    const names = readdirSync(config.output_dir).filter((name) => name.startsWith('checkpoint'));
    expect(names).toEqual(['checkpoint-1']);
    const summary = await train(testRuntime(), config, quiet, { resume: true });
    expect(summary).toMatchObject({ outcome: 'finished', step: 4 });
    await train(testRuntime(), configFor('roomy', { training: { save_steps: 1 } }), quiet);
    const weights = (name: string) => readFileSync(join(folder, name, 'model/model.safetensors'));
    expect(weights('full').equals(weights('roomy'))).toBe(true);
  });
});
