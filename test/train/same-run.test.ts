/** A checkpoint is continued only by the configuration that made it, apart from keys that change no number. */
import { describe, expect, it } from 'vitest';
import { trainConfigFrom } from '../../src/train/config.ts';
import { changedKeys } from '../../src/train/same-run.ts';

const raw = {
  model: { path: 'm' },
  objective: { name: 'dpo', settings: { beta: 0.1 } },
  data: { train: 'd.jsonl' },
  training: { max_steps: 10 },
  output_dir: 'out',
};
const config = trainConfigFrom(raw);
const stored: unknown = JSON.parse(JSON.stringify(config));
const changed = (changes: Record<string, unknown>) =>
  changedKeys(stored, trainConfigFrom({ ...raw, ...changes }));

describe('resuming with', () => {
  it('the same configuration changes nothing', () => expect(changedKeys(stored, config)).toEqual([]));

  it('a checkpoint that is older than a key with a default changes nothing', () => {
    const { optim, sgd_momentum, ...training } = config.training;
    expect([optim, sgd_momentum]).toEqual(['adamw', 0]);
    expect(changedKeys({ ...config, training }, config)).toEqual([]);
  });

  it('another optimizer is another run', () =>
    expect(changed({ training: { max_steps: 10, optim: 'sgd' } })).toEqual([
      'training.optim: the checkpoint has "adamw", the configuration "sgd"',
    ]));

  it('more steps, another place or another logging rhythm is the same run', () => {
    expect(changed({ training: { max_steps: 20, logging_steps: 1, memory_budget: '1GiB' } })).toEqual([]);
    expect(changed({ output_dir: 'elsewhere' })).toEqual([]);
  });

  it('another seed, method, setting or batch is another run, and is named', () => {
    expect(changed({ seed: 7 })).toEqual(['seed: the checkpoint has 42, the configuration 7']);
    expect(changed({ objective: 'ipo' })).toEqual([
      'objective.name: the checkpoint has "dpo", the configuration "ipo"',
      'objective.settings.beta: the checkpoint has 0.1, the configuration none',
    ]);
    expect(changed({ lora: { r: 4 } })[0]).toMatch(/^lora\.r: the checkpoint has none, the configuration 4/);
    expect(changed({ training: { max_steps: 10, per_device_train_batch_size: 4 } })).toHaveLength(1);
  });
});
