/** Training in the page is the command line's, step by step. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { trainConfigFrom } from '../../src/train/config.ts';
import type { TrainHooks } from '../../src/train/hooks.ts';
import { train } from '../../src/train/train.ts';
import { curvesOverGap, lossAtStart } from '../../web/app/loss-curves.ts';
import type { StepReport, TrainRequest } from '../../web/worker/protocol.ts';
import { losable } from '../support/lost-device.ts';
import { cli } from '../support/run-cli.ts';
import { testRuntime } from '../support/runtime.ts';
import { dropped, evalPairs, keptFolder, newEngine, STORIES } from './support.ts';

const engine = newEngine();
const pairs = evalPairs(6);
const request: TrainRequest = {
  method: { name: 'dpo', settings: { beta: 0.5 }, bmc: {} },
  learningRate: 1e-4,
  batchSize: 2,
  steps: 3,
  seed: 5,
  start: 'reference',
  pairs,
  watch: pairs[0],
};

beforeAll(async () => {
  await engine.open();
  await engine.loadModel('reference', dropped(STORIES));
});
afterAll(() => engine.close());

describe('a run in the page', () => {
  it('gives the losses of prefgrad train, and token colours that move', async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'prefgrad-page-'));
    fs.writeFileSync(`${folder}/rows.jsonl`, pairs.map((pair) => JSON.stringify(pair)).join('\n'));
    const expected: number[] = [];
    const hooks: TrainHooks = {
      note: () => {},
      start: () => {},
      step: ({ metrics }) => void expected.push(metrics.loss),
      evaluated: () => {},
      checkpoint: () => {},
      shouldStop: () => false,
      finish: () => {},
    };
    const config = trainConfigFrom({
      model: { path: STORIES },
      objective: { name: 'dpo', settings: { beta: 0.5 }, bmc: {} },
      data: { train: `${folder}/rows.jsonl`, max_length: 512 },
      training: {
        learning_rate: 1e-4,
        max_steps: 3,
        warmup_steps: 0,
        per_device_train_batch_size: 2,
        gradient_checkpointing: false,
      },
      output_dir: `${folder}/out`,
      seed: 5,
    });
    await train(testRuntime(), config, hooks);

    await engine.prepareTraining(request, () => {});
    const reports: StepReport[] = [await engine.step()];
    expect(await engine.train((report) => reports.push(report))).toBe('finished');
    expect(reports.map((report) => report.step)).toEqual([1, 2, 3]);
    reports.forEach(({ metrics }, i) => {
      expect(Math.abs(metrics.loss - expected[i])).toBeLessThan(1e-5);
    });
    const margins = reports.map((report) => report.watched?.margin ?? 0);
    expect(margins[2]).not.toBe(margins[1]);
    expect(Math.abs(margins[2])).toBeGreaterThan(1e-4);
    await expect(engine.step()).rejects.toThrow(/All 3 steps are done/);

    const files = await engine.exportPolicy();
    const names = files.map(({ path }) => path);
    expect(names).toEqual(expect.arrayContaining(['config.json', 'model.safetensors', 'tokenizer.json']));
    const weights = files.find(({ path }) => path === 'model.safetensors')?.file;
    const trained = fs.readFileSync(`${folder}/out/model/model.safetensors`);
    expect(weights?.size).toBe(trained.length);
    await engine.loadModel('again', { kind: 'files', files });
    const score = (policy: string) =>
      engine.score(policy, {
        pair: pairs[0],
        policy,
        reference: 'reference',
        method: request.method,
        details: false,
      });
    expect((await score('again'))?.margin).toBeCloseTo(margins[2], 5);
    fs.rmSync(folder, { recursive: true });
  });

  it('pauses between steps, and starts from the beginning after a reset', async () => {
    const before = await engine.gpuBytes();
    await engine.prepareTraining({ ...request, steps: 50, watch: undefined }, () => {});
    const steps: number[] = [];
    const state = await engine.train(({ step }) => {
      steps.push(step);
      if (step === 2) void engine.pause();
    });
    expect(state).toBe('paused');
    expect(steps).toEqual([1, 2]);
    await engine.resetTraining();
    await expect(engine.step()).rejects.toThrow(/no training run/);
    expect(await engine.gpuBytes()).toBeLessThanOrEqual(before);
  });

  it('needs pairs', async () => {
    const same = pairs.map((pair) => ({ ...pair, rejected: pair.chosen }));
    const before = await engine.gpuBytes();
    await expect(engine.prepareTraining({ ...request, pairs: same }, () => {})).rejects.toThrow(
      /no example is left/,
    );
    expect(await engine.gpuBytes()).toBe(before);
  });
});

describe('a run that is kept', () => {
  const lora = { ...request, lora: { r: 4 }, watch: undefined };

  it('goes on where it was in the next page, with the numbers that it would have had', async () => {
    const folder = keptFolder();
    const first = newEngine(nodeRuntime(), folder);
    await first.open();
    await first.loadModel('reference', dropped(STORIES));
    await first.prepareTraining(lora, () => {});
    expect((await first.step()).isKept).toBe(true);
    // The page is closed while its next step goes on.
    const second = await first.step();
    for (const path of folder.files.keys()) if (path.startsWith('checkpoint-3/')) folder.files.delete(path);
    await first.close();

    const next = newEngine(nodeRuntime(), folder);
    await next.open();
    const kept = await next.keptRun();
    expect(kept).toMatchObject({
      step: 2,
      request: { method: request.method, start: 'reference', steps: 3 },
    });
    expect(kept?.metrics.map(({ step, loss }) => [step, loss])).toEqual([
      [1, expect.any(Number)],
      [2, second.metrics.loss],
    ]);
    await next.continueTraining(() => {});
    const last = await next.step();
    expect(last.step).toBe(3);
    await engine.prepareTraining(lora, () => {});
    let straight: StepReport | undefined;
    await engine.train((report) => {
      straight = report;
    });
    expect(last.metrics.loss).toBe(straight?.metrics.loss);
    expect(last.metrics['rewards/margins']).toBe(straight?.metrics['rewards/margins']);
    await next.resetTraining();
    expect([...folder.files.keys()]).toEqual([]);
    await next.close();
  });

  it('is a run directory that prefgrad train continues', async () => {
    await engine.prepareTraining(lora, () => {});
    await engine.step();
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'prefgrad-run-'));
    for (const { path: name, file } of await engine.exportRun()) {
      fs.mkdirSync(path.dirname(`${folder}/${name}`), { recursive: true });
      fs.writeFileSync(`${folder}/${name}`, new Uint8Array(await file.arrayBuffer()));
    }
    const second = await engine.step();
    // Paths of a configuration are relative to the current directory.
    const before = process.cwd();
    process.chdir(folder);
    const { code, stderr } = await cli(
      ...['train', 'prefgrad-run/config.yaml', '--resume', '--set', 'training.max_steps=2'],
    ).finally(() => process.chdir(before));
    expect(stderr).not.toContain('starts anew');
    expect(code).toBe(0);
    const lines = fs.readFileSync(`${folder}/prefgrad-run/metrics.jsonl`, 'utf8').trim().split('\n');
    const steps = lines.map((line) => JSON.parse(line) as StepReport['metrics'] & { step: number });
    expect(steps.map(({ step }) => step)).toEqual([1, 2]);
    expect(steps[1].loss).toBeCloseTo(second.metrics.loss, 5);
    expect(fs.existsSync(`${folder}/prefgrad-run/model/adapter_model.safetensors`)).toBe(true);
    fs.rmSync(folder, { recursive: true });
  });
});

describe('the playground', () => {
  it('draws MIPO over the gap of the policy, and at its start over K', async () => {
    const mipo = (await engine.methods()).find(({ name }) => name === 'mipo');
    if (mipo === undefined) throw new Error('There is no MIPO.');
    const beta = 2;
    const q = (K: number) => Math.log1p(Math.exp(K));
    const loss = (gap: number, K: number) => Math.log1p(Math.exp(-beta * (gap - q(K))));
    const { x, loss: curves } = await curvesOverGap(engine, mipo, { beta });
    for (const [i, K] of [-1, 0, 1].entries()) {
      expect(curves[i].name).toBe(`K = ${K}`);
      expect(curves[i].mark).toBeCloseTo(q(K), 3);
      for (const [j, gap] of x.entries()) expect(curves[i].values[j]).toBeCloseTo(loss(gap, K), 4);
    }
    const start = await lossAtStart(engine, mipo, { beta });
    for (const [j, K] of start.x.entries()) expect(start.loss[j]).toBeCloseTo(loss(K, K), 4);
  });

  it('is dpo where dpo is known', async () => {
    const margins = [-4, 0, 2];
    const method = { name: 'dpo', settings: { beta: 0.5 } };
    const curves = await engine.playground({ method, margins, referenceMargins: [0, 1], length: 4 });
    for (const { referenceMargin, loss, gradientWeight } of curves) {
      margins.forEach((margin, i) => {
        const x = 0.5 * (margin - referenceMargin);
        expect(loss[i]).toBeCloseTo(Math.log1p(Math.exp(-x)), 5);
        expect(gradientWeight[i]).toBeCloseTo(0.5 / (1 + Math.exp(x)), 5);
      });
    }
  });

  it('has a curve for every method', async () => {
    for (const { name } of await engine.methods()) {
      const [curve] = await engine.playground({
        method: { name, settings: {} },
        margins: [-2, 0, 2],
        referenceMargins: [0.5],
        length: 3,
      });
      expect(
        [name, ...curve.loss].every((value) => typeof value === 'string' || Number.isFinite(value)),
      ).toBe(true);
      expect(curve.gradientWeight.every(Number.isFinite)).toBe(true);
    }
  });

  it('gives epsilon-DPO a beta per pair: lower where the policy went further than its reference', async () => {
    const method = { name: 'epsilon-dpo', settings: { beta: 0.1, epsilon: 0.25 } };
    const [curve] = await engine.playground({
      method,
      margins: [-2, 0.5, 2],
      referenceMargins: [0.5],
      length: 3,
    });
    expect(curve.betas).toHaveLength(3);
    [0.1 / 0.75, 0.1, 0.1 / 1.25].forEach((beta, i) => {
      expect(curve.betas?.[i]).toBeCloseTo(beta, 6);
    });
  });

  it("gives BMC's weight of a varied token: 1 + min(1/p, delta)", async () => {
    const probabilities = [0.01, 0.4, 0.8];
    const lambda = await engine.lambda({ delta: 2, probabilities });
    probabilities.forEach((p, i) => {
      expect(lambda[i]).toBeCloseTo(1 + Math.min(1 / p, 2), 5);
    });
  });
});

describe('a device that is lost', () => {
  it('is told once, and the engine can be opened again', async () => {
    const { runtime, lose } = losable(nodeRuntime());
    const other = newEngine(runtime);
    await other.open();
    await other.loadModel('reference', dropped(STORIES));
    const reasons: string[] = [];
    const told = new Promise<void>((resolve) => {
      void other.onDeviceLost((reason) => {
        reasons.push(reason);
        resolve();
      });
    });
    lose();
    await told;
    expect(reasons).toEqual(['the test took it away']);
    await expect(other.playground({ ...playground })).rejects.toThrow(/not open/);
    await other.open();
    expect((await other.playground({ ...playground })).length).toBe(1);
    await other.close();
  });
});

const playground = { method: { name: 'ipo', settings: {} }, margins: [0], referenceMargins: [0], length: 1 };
