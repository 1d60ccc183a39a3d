import { describe, expect, it } from 'vitest';
import { InputErrors } from '../../src/errors.ts';
import { objectives } from '../../src/objectives/registry.ts';
import { readTrainConfig, type TrainConfigInput, trainConfigFrom } from '../../src/train/config.ts';

const smallest = { model: { path: 'm' }, objective: 'dpo', data: { train: 'd.jsonl' }, output_dir: 'out' };

/** Problems of the smallest configuration with `changes`, as 'a.b: message'. */
function problems(changes: Record<string, unknown>): string[] {
  const { problems: found } = readTrainConfig({ ...smallest, ...changes });
  return found.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

describe('a configuration', () => {
  it("fills in TRL's defaults", () => {
    const config = trainConfigFrom(smallest);
    expect(config.objective).toEqual({ name: 'dpo', settings: {} });
    expect(config.training).toMatchObject({
      learning_rate: 1e-6,
      num_train_epochs: 1,
      per_device_train_batch_size: 8,
      lr_scheduler_type: 'cosine',
      gradient_checkpointing: true,
      logging_steps: 10,
    });
    expect(config.data).toMatchObject({ max_length: 1024, truncation: 'keep_start', format: 'auto' });
    expect(config.seed).toBe(42);
    expect(config.lora).toBeUndefined();
  });

  it('trains sft at a rate of its own unless told otherwise', () => {
    expect(trainConfigFrom({ ...smallest, objective: 'sft' }).training.learning_rate).toBe(2e-5);
    const told = { ...smallest, objective: 'sft', training: { learning_rate: 1e-3 } };
    expect(trainConfigFrom(told).training.learning_rate).toBe(1e-3);
  });

  it('adapts q and v as PEFT does', () => {
    expect(trainConfigFrom({ ...smallest, lora: {} }).lora?.target_modules).toEqual(['q_proj', 'v_proj']);
  });

  it.each(objectives.map((o) => o.name))('takes %s with its default settings', (name) => {
    expect(problems({ objective: name })).toEqual([]);
  });

  it('accepts what the input type allows', () => {
    const typed: TrainConfigInput = { ...smallest, objective: { name: 'ipo', bmc: { delta: 3 } } };
    expect(trainConfigFrom(typed).objective.bmc).toEqual({
      delta: 3,
      diff: 'levenshtein',
      reference_weights: 'policy',
    });
  });
});

describe('a size in bytes', () => {
  const budget = (memory_budget: unknown) =>
    trainConfigFrom({ ...smallest, training: { memory_budget } }).training.memory_budget;

  it('is a number, or a number with its unit', () => {
    expect(budget(4096)).toBe(4096);
    expect(budget('8GiB')).toBe(8 * 2 ** 30);
    expect(budget('1.5 MiB')).toBe(1.5 * 2 ** 20);
  });

  it('is refused without a binary unit', () => {
    expect(problems({ training: { memory_budget: '8GB' } }).join()).toMatch(
      /training\.memory_budget: found "8GB"; expected a whole number of at least 1, or a text such as 8GiB/,
    );
  });
});

describe('problems', () => {
  it('names what was found and what is allowed', () => {
    expect(problems({ training: { learning_rate: 'high', warmup_ratio: 1, max_steps: 0, seed: 1 } })).toEqual(
      [
        'training.learning_rate: found "high"; expected a number greater than 0 and at most 1',
        'training.max_steps: must be -1 or at least 1, found 0',
        'training.warmup_ratio: found 1; expected a number of at least 0 and less than 1',
        expect.stringContaining('training.seed: there is no such key; did you mean'),
      ],
    );
  });

  it('suggests the nearest key, objective and setting', () => {
    expect(problems({ modle: {} })).toEqual(['modle: there is no such key; did you mean model?']);
    expect(problems({ training: { wait: 4 } })[0]).toMatch(/did you mean \S+\? Known: learning_rate, /);
    expect(problems({ objective: 'DPO' })[0]).toContain('did you mean dpo?');
    expect(problems({ objective: 'mipoo' })[0]).toContain('did you mean mipo?');
    expect(problems({ objective: { name: 'dpo', settings: { betta: 1 } } })).toEqual([
      'objective.settings.betta: there is no such key; did you mean beta?',
    ]);
    expect(problems({ data: { train: 'd', columns: { chosn: 'x' } } })).toEqual([
      'data.columns.chosn: there is no such key; did you mean chosen?',
    ]);
  });

  it.each([
    [{ training: { lr: 1e-6 } }, 'training.lr', 'training.learning_rate'],
    [{ training: { batch_size: 4 } }, 'training.batch_size', 'training.per_device_train_batch_size'],
    [{ training: { epochs: 1 } }, 'training.epochs', 'training.num_train_epochs'],
    [{ training: { warmup: 0.1 } }, 'training.warmup', 'training.warmup_ratio'],
    [{ learning_rate: 1e-6 }, 'learning_rate', 'training.learning_rate'],
    [{ cutoff_len: 512 }, 'cutoff_len', 'data.max_length'],
    [{ training: { BF16: true } }, 'training.BF16', 'model.dtype'],
    [{ model_name_or_path: 'm' }, 'model_name_or_path', 'model.path'],
  ])('knows what others call it: %j', (changes, key, ours) => {
    expect(problems(changes)).toContain(`${key}: there is no such key; it is called ${ours} here`);
  });

  it('says where a key of others is not needed, and takes their words for all modules', () => {
    expect(problems({ training: { report_to: 'wandb' } })[0]).toContain(
      'training.report_to: there is no such key, and none is needed: metrics.jsonl',
    );
    expect(problems({ lora: { target_modules: 'all-linear' } })).toEqual([]);
  });

  it("checks the objective's own settings even when other keys are wrong", () => {
    const found = problems({ objective: { name: 'dpo', settings: { label_smoothing: 3 } }, seed: -1 });
    expect(found).toEqual([
      'seed: found -1; expected a whole number of at least 0 and at most 4294967295',
      'objective.settings.label_smoothing: found 3; expected a number of at least 0 and less than 0.5',
    ]);
  });

  it('refuses by name what an objective cannot take', () => {
    expect(problems({ objective: { name: 'kto', bmc: {} } })).toEqual([
      'objective.bmc: kto does not take token weights; dpo, ipo, simpo, orpo, rdpo do',
    ]);
    expect(problems({ objective: 'tr-dpo', reference: { mode: 'precompute' } })[0]).toContain(
      'the reference of tr-dpo follows the policy',
    );
    expect(problems({ objective: 'epsilon-dpo', reference: { mode: 'precompute' } })).toEqual([]);
    expect(problems({ objective: 'tr-dpo', lora: {} })[0]).toMatch(/^lora: .* needs full fine-tuning/);
    expect(problems({ objective: 'simpo', reference: { model: 'r' } })[0]).toContain(
      'simpo uses no reference model',
    );
  });

  it('refuses keys that would do nothing', () => {
    expect(problems({ training: { eval_steps: 5, save_total_limit: 2 } })).toEqual([
      expect.stringContaining('training.eval_steps: there is nothing to evaluate on'),
      expect.stringContaining('training.save_total_limit: checkpoints are only written'),
    ]);
  });

  it('refuses few bits for weights that are trained, and both numbers of bits at once', () => {
    expect(problems({ model: { path: 'm', load_in_4bit: true } })).toEqual([
      'model.load_in_4bit: only frozen weights can be held in so few bits; add lora, or remove this key',
    ]);
    const both = { path: 'm', load_in_4bit: true, load_in_8bit: true };
    expect(problems({ model: both, lora: {} })).toEqual([
      'model.load_in_4bit: weights are held in 4 or in 8 bits; remove one of load_in_4bit and load_in_8bit',
    ]);
    expect(problems({ model: { path: 'm', load_in_8bit: true }, lora: {} })).toEqual([]);
  });

  it('come as one error to callers without a file', () => {
    expect(() => trainConfigFrom({ objective: 'dpo' })).toThrow(InputErrors);
    expect(() => trainConfigFrom({ objective: 'dpo' })).toThrow(
      /model: is missing[\s\S]*output_dir: is missing/,
    );
    expect(() => trainConfigFrom([])).toThrow('found []');
  });
});
