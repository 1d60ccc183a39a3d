/** The first steps of the quickstart give the same losses everywhere: test/fixtures/quickstart-losses.json. */
import { type TrainConfig, trainConfigFrom } from '../../src/train/config.ts';
import { train } from '../../src/train/train.ts';
import { expectClose } from '../support/close.ts';
import { type CaseContext, type ConformanceCase, readFixture } from './case.ts';

export const LOSSES = 'test/fixtures/quickstart-losses.json';

/**
 * DPO-BMC as in examples/quickstart.yaml, on its first rows, at a constant rate: fewer steps are a prefix of more. The
 * reference is computed beside the policy, or a run of few steps would take most of its time for rows that it never sees.
 */
export function quickstartConfig(output_dir: string, steps: number): TrainConfig {
  return trainConfigFrom({
    model: { path: 'examples/stories260K' },
    objective: { name: 'dpo', settings: { beta: 0.5 }, bmc: { delta: 2 } },
    reference: { mode: 'in_step' },
    data: { train: 'examples/quickstart/train.jsonl', max_length: 96, max_rows: 80 },
    training: {
      learning_rate: 1e-4,
      max_steps: steps,
      per_device_train_batch_size: 4,
      lr_scheduler_type: 'constant',
      warmup_ratio: 0,
      gradient_checkpointing: false,
    },
    output_dir,
  });
}

/** Losses of the first `steps` optimizer steps. */
export async function quickstartLosses({ runtime, steps }: CaseContext): Promise<number[]> {
  const output = `runs/conformance-${runtime.name}-${Date.now()}`;
  const losses: number[] = [];
  try {
    await train(runtime, quickstartConfig(output, steps), {
      note() {},
      start() {},
      step: ({ metrics }) => losses.push(metrics.loss),
      evaluated() {},
      checkpoint() {},
      shouldStop: () => false,
      finish() {},
    });
  } finally {
    await runtime.files.remove(output);
  }
  return losses;
}

export const trainingCases: readonly ConformanceCase[] = [
  {
    group: 'training',
    name: 'the first steps of the quickstart have the losses of Node on lavapipe',
    async run(context) {
      const { losses: expected } = await readFixture<{ losses: number[] }>(context, LOSSES);
      const losses = await quickstartLosses(context);
      losses.forEach((loss, i) => {
        expectClose([loss], [expected[i]], 1e-4, `loss of step ${i + 1}`);
      });
      if (losses.length !== context.steps) throw new Error(`${losses.length} steps of ${context.steps}.`);
    },
  },
];
