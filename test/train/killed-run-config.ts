/** The run that is killed: five steps of epsilon-DPO, whose beta moves, with a checkpoint after each but the last. */
import { type TrainConfig, trainConfigFrom } from '../../src/train/config.ts';

export const STEPS = 5;

export function killedRunConfig(output_dir: string): TrainConfig {
  return trainConfigFrom({
    model: { path: 'examples/stories260K' },
    objective: { name: 'epsilon-dpo', settings: { beta: 0.1, epsilon: 0.1 } },
    lora: { r: 4, lora_alpha: 8 },
    data: { train: 'examples/quickstart/train.jsonl', max_length: 96, max_rows: 8 },
    training: {
      learning_rate: 1e-3,
      max_steps: STEPS,
      per_device_train_batch_size: 2,
      logging_steps: 1,
      save_steps: 1,
      save_total_limit: 2,
    },
    output_dir,
    seed: 9,
  });
}
