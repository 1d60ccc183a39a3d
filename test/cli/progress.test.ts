import { PassThrough } from 'node:stream';
import { describe, expect, it, vi } from 'vitest';
import { resumeCommand } from '../../src/cli/command-train.ts';
import { listenForInterrupt } from '../../src/cli/interrupt.ts';
import { progressHooks } from '../../src/cli/progress.ts';
import { duration, metric } from '../../src/cli/units.ts';
import type { StepInfo } from '../../src/train/hooks.ts';

const start = { totalSteps: 20, firstStep: 0, device: 'mesa llvmpipe', predictedPeakBytes: 3 * 2 ** 20 };
const step = (n: number): StepInfo => ({
  step: n,
  metrics: { loss: 0.6789123, 'rewards/accuracies': 0.5, 'rewards/margins': 0.01234 },
  tokensPerSecond: 1234.4,
  secondsLeft: 75,
  logged: n % 10 === 0 ? { loss: 0.7, 'rewards/accuracies': 0.5, 'rewards/margins': 0.01234 } : undefined,
});

describe('progress without a terminal', () => {
  it('is one line per logged step, and what happens besides', () => {
    let text = '';
    const hooks = progressHooks({ write: (t) => (text += t), terminal: undefined }, () => false);
    hooks.start(start);
    for (let n = 1; n <= 10; n++) hooks.step(step(n));
    hooks.checkpoint('out/checkpoint-10');
    expect(text).toBe(
      'Device: mesa llvmpipe\nPredicted peak memory: 3.00 MiB\n' +
        'step 10/20 | loss 0.7 | rewards/accuracies 0.5 | rewards/margins 0.01234 | 1234 tokens/s | 1m15s left\n' +
        'Checkpoint: out/checkpoint-10\n',
    );
  });

  it('ends with metrics before and after, samples and files', () => {
    let text = '';
    const hooks = progressHooks({ write: (t) => (text += t), terminal: undefined }, () => false);
    hooks.finish({
      outcome: 'finished',
      step: 20,
      totalSteps: 20,
      seconds: 61,
      compiled: { pipelines: 12, seconds: 3 },
      predictedPeakBytes: 1.5 * 2 ** 20,
      peakBytes: 2 ** 21,
      residentBytes: 2 ** 28,
      before: { 'eval_rewards/accuracies': 0 },
      after: { 'eval_rewards/accuracies': 0.75 },
      samples: [{ prompt: 'Once', before: 'a\ncat', after: 'a dog' }],
      files: [{ what: 'Model', path: 'out/model' }],
    });
    expect(text).toContain('Finished 20 of 20 steps in 1m01s.\nCompiled 12 pipelines in 3s.\n');
    expect(text).toContain(
      'Peak memory: 2.00 MiB (predicted 1.50 MiB, -25.0%); the process holds 256.0 MiB.\n',
    );
    expect(text).toMatch(/eval_rewards\/accuracies +0 +0\.75\n/);
    expect(text).toContain('Prompt: Once\n  before: a cat\n  after:  a dog\n\nModel: out/model\n');
  });
});

it('of several ranks says what each took, and all of them', () => {
  let text = '';
  const hooks = progressHooks({ write: (t) => (text += t), terminal: undefined }, () => false);
  const rank = {
    host: 'box',
    device: 'NVIDIA H100',
    predictedPeakBytes: 2 ** 20,
    peakBytes: 2 ** 20,
    tokens: 300,
  };
  hooks.start({ ...start, ranks: [rank, { ...rank, device: 'NVIDIA A100' }] });
  hooks.finish({
    outcome: 'finished',
    step: 2,
    totalSteps: 2,
    seconds: 61,
    stepSeconds: 10,
    compiled: { pipelines: 12, seconds: 3 },
    predictedPeakBytes: 2 ** 20,
    peakBytes: 2 ** 20,
    residentBytes: undefined,
    ranks: [rank, { ...rank, tokens: 500 }],
    files: [],
  });
  expect(text).toContain('Rank 1: NVIDIA A100 on box, predicted peak memory 1.00 MiB\n');
  expect(text).toContain(
    'Rank 1: peak memory 1.00 MiB (predicted 1.00 MiB, +0.0%), 500 tokens, 50 tokens/s.\n',
  );
  expect(text).toContain('All 2 ranks: peak memory 2.00 MiB, 800 tokens, 80 tokens/s.\n');
});

describe('progress on a terminal', () => {
  it('is a bar with lines above it', () => {
    const stream = Object.assign(new PassThrough(), { isTTY: true, columns: 160, rows: 40 });
    let drawn = '';
    stream.on('data', (chunk: Buffer) => (drawn += chunk.toString()));
    const terminal = Object.assign(stream, {
      cursorTo: () => true,
      moveCursor: () => true,
      clearLine: () => true,
    }) as unknown as NodeJS.WriteStream;
    let text = '';
    const hooks = progressHooks({ write: (t) => (text += t), terminal }, () => false);
    hooks.start(start);
    hooks.step(step(5));
    hooks.note('a note');
    hooks.close();
    hooks.close();
    expect(text).toContain('Device: mesa llvmpipe');
    expect(drawn).toContain('a note\n');
    expect(drawn).toContain('5/20 | loss 0.6789 | rewards/accuracies 0.5');
    expect(drawn).toContain('1m15s left');
  });
});

describe('Ctrl-C', () => {
  it('says how to go on, ready for a shell', () => {
    expect(resumeCommand('my run.yaml', ['seed=1', "model.path=it's"], 'lavapipe')).toBe(
      "prefgrad train 'my run.yaml' --set seed=1 --set 'model.path=it'\\''s' --device lavapipe --resume",
    );
  });

  it('asks to stop first, and ends the process at the second time', () => {
    const announce = vi.fn();
    const exit = vi.fn();
    const interrupt = listenForInterrupt(announce, exit);
    try {
      expect(interrupt.requested).toBe(false);
      process.emit('SIGINT');
      expect(interrupt.requested).toBe(true);
      expect(announce).toHaveBeenCalledOnce();
      expect(exit).not.toHaveBeenCalled();
      process.emit('SIGINT');
      expect(exit).toHaveBeenCalledWith(130);
    } finally {
      interrupt.release();
    }
  });
});

describe('numbers', () => {
  it('are short', () => {
    expect([9.4, 75, 3725, Number.NaN].map(duration)).toEqual(['9s', '1m15s', '1h02m', '?']);
    expect([0, 0.123456, 1e-7, undefined].map(metric)).toEqual(['0', '0.1235', '1.00e-7', '-']);
  });
});
