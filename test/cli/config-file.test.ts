import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/cli/config-file.ts';
import { InputErrors } from '../../src/errors.ts';

const good = `model:
  path: m
objective: dpo
data: {train: d.jsonl}
output_dir: out
`;

/** Problems of a configuration file called run.yaml. */
function problems(text: string, ...overrides: string[]): readonly string[] {
  try {
    parseConfig(text, 'run.yaml', overrides);
    return [];
  } catch (error) {
    if (error instanceof InputErrors) return error.problems;
    throw error;
  }
}

describe('a configuration file', () => {
  it('is read with comments, exponents and short forms', () => {
    const { config } = parseConfig(`${good}training: {learning_rate: 5e-7} # low\n`, 'run.yaml');
    expect(config.training.learning_rate).toBe(5e-7);
    expect(config.objective.name).toBe('dpo');
  });

  it('reports every problem at once, in file order, with line and column', () => {
    const text = `model:
  pth: m
objective:
  name: dpo
  settings:
    beta: -1
lora:
  target_modules: [q_proj, w_proj]
data: {train: d.jsonl}
output_dir: out
`;
    expect(problems(text)).toEqual([
      'run.yaml:1:1: model.path: is missing; expected text that is not empty',
      'run.yaml:2:3: model.pth: there is no such key; did you mean path?',
      'run.yaml:6:5: objective.settings.beta: found -1; expected a number greater than 0',
      expect.stringContaining(
        'run.yaml:8:28: lora.target_modules.1: found "w_proj"; expected one of q_proj,',
      ),
    ]);
  });

  it('that is no YAML is reported where it breaks', () => {
    expect(problems('model: {path: m\nseed: 1\n')[0]).toMatch(/^run\.yaml:2:/);
    expect(problems(`${good}seed: 1\nseed: 2\n`)[0]).toMatch(/^run\.yaml:7:1: .*unique/);
    expect(problems('')).toEqual([expect.stringContaining('run.yaml: is empty')]);
    expect(problems('- a\n')).toEqual([expect.stringContaining('run.yaml:1:1: found ["a"]')]);
  });

  it('knows where each value comes from', () => {
    const { locate } = parseConfig(good, 'run.yaml', ['data.train=other.jsonl']);
    expect(locate(['output_dir'])).toBe('run.yaml:5:1');
    expect(locate(['data', 'train'])).toBe('--set data.train');
    expect(locate(['data', 'eval'])).toBe('run.yaml:4:1');
  });
});

describe('--set', () => {
  it('overrides values, makes groups and reads YAML', () => {
    const { config } = parseConfig(good, 'run.yaml', [
      'training.learning_rate=2e-6',
      'training.packing=false',
      'lora.target_modules=[k_proj]',
      'objective.settings.beta=0.5',
      'model.path=a=b',
    ]);
    expect(config.training).toMatchObject({ learning_rate: 2e-6, packing: false });
    expect(config.lora?.target_modules).toEqual(['k_proj']);
    expect(config.objective).toEqual({ name: 'dpo', settings: { beta: 0.5 } });
    expect(config.model.path).toBe('a=b');
  });

  it('replaces a whole group when it names one', () => {
    const text = good.replace('objective: dpo', 'objective: {name: dpo, settings: {label_smoothing: 0.1}}');
    expect(parseConfig(text, 'run.yaml', ['objective=mipo']).config.objective).toEqual({
      name: 'mipo',
      settings: {},
    });
  });

  it('is named in the problems it makes', () => {
    expect(problems(good, 'seed', 'model.path.x=1', 'training.lr=1', 'seed=-1', 'device=[')).toEqual([
      '--set seed: expected KEY=VALUE, such as training.learning_rate=1e-6',
      expect.stringContaining('--set device: the value is not valid YAML'),
      '--set model.path.x: model.path is a value, so it has no keys',
      expect.stringContaining(
        '--set training.lr: there is no such key; it is called training.learning_rate here',
      ),
      expect.stringContaining('--set seed: found -1; expected a whole number'),
    ]);
  });
});
