/** Names, settings with ranges and defaults, and the axes that a method takes. */
import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.ts';
import { activate } from '../../src/objectives/choice.ts';
import { findObjective, objectives } from '../../src/objectives/registry.ts';

const DEFAULTS: Readonly<Record<string, object>> = {
  sft: {},
  dpo: { beta: 0.1, label_smoothing: 0 },
  ipo: { tau: 0.1, average_logps: true },
  simpo: { beta: 2, gamma_beta_ratio: 0.25, label_smoothing: 0, sft_weight: 0 },
  kto: { beta: 0.1, desirable_weight: 1, undesirable_weight: 1 },
  orpo: { beta: 0.1, nll: 'token_mean' },
  rdpo: { beta: 0.1, alpha: 0.05 },
  cpo: { beta: 0.1, alpha: 1, label_smoothing: 0 },
  rrhf: { sft_weight: 1 },
  slic: { delta: 1, sft_weight: 0.1 },
  'beta-dpo': { beta: 0.1, a: 0.6, rho: 0.2, momentum: 0.9 },
  'tr-dpo': { beta: 0.1, alpha: 0.6, tau: 64 },
  figa: { alpha: 1, beta: 0.5, diff: 'levenshtein' },
  mipo: { beta: 25 },
  'epsilon-dpo': { beta: 0.01, epsilon: 0.01, step_epsilon: 0.01, beta_update: 'mean_step' },
};

const message = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
  throw new Error('Nothing was refused.');
};

describe('the registry', () => {
  it.each(Object.entries(DEFAULTS))('knows %s and its defaults', (name, defaults) => {
    expect(activate({ name }).settings).toEqual(defaults);
  });

  it('holds these and no others, each with formula and paper', () => {
    expect(objectives.map((o) => o.name).sort()).toEqual(Object.keys(DEFAULTS).sort());
    for (const { formula, paper } of objectives) expect(formula !== '' && paper !== '').toBe(true);
  });

  it('loads no reference for methods that have none', () => {
    const without = objectives.filter((o) => o.bind({}).needs.reference === 'none').map((o) => o.name);
    expect(without.sort()).toEqual(['cpo', 'figa', 'orpo', 'rrhf', 'sft', 'simpo', 'slic']);
  });

  it('asks for token differences only where there are token weights or masks', () => {
    const asking = objectives.filter((o) => o.bind({}).needs.differences !== undefined).map((o) => o.name);
    expect(asking).toEqual(['figa']);
    expect(activate({ name: 'dpo', bmc: { diff: 'difflib' } }).needs.differences).toBe('difflib');
  });
});

describe('what is refused, by name', () => {
  it('an unknown method, with the nearest one', () => {
    expect(message(() => findObjective('epsilon_dpo'))).toContain('did you mean epsilon-dpo?');
  });

  it('an unknown setting, with the nearest one', () => {
    expect(message(() => activate({ name: 'simpo', settings: { gama_beta_ratio: 1 } }))).toContain(
      'settings.gama_beta_ratio: there is no such key; did you mean gamma_beta_ratio?',
    );
  });

  it.each([
    ['dpo', { beta: 0 }],
    ['dpo', { label_smoothing: 0.5 }],
    ['beta-dpo', { rho: 1 }],
    ['tr-dpo', { alpha: 0 }],
    ['tr-dpo', { tau: 0.5 }],
    ['epsilon-dpo', { epsilon: 1 }],
    ['slic', { delta: -1 }],
    ['figa', { diff: 'words' }],
  ])('a setting of %s out of range: %j', (name, settings) => {
    expect(message(() => activate({ name, settings }))).toContain(`settings.${Object.keys(settings)[0]}`);
  });

  it('all problems at once', () => {
    const text = message(() => activate({ name: 'dpo', settings: { beta: -1, label_smoothing: 2 } }));
    expect(text).toContain('settings.beta');
    expect(text).toContain('settings.label_smoothing');
  });

  it('BMC on a method that does not take it, with those that do', () => {
    const text = message(() => activate({ name: 'kto', bmc: {} }));
    expect(text).toContain('kto does not take token weights; dpo, ipo, simpo, orpo, rdpo do');
  });

  it('token weights in the rows where the method takes none, and beside others', () => {
    expect(message(() => activate({ name: 'kto', dataWeights: true }))).toContain('kto does not take');
    expect(message(() => activate({ name: 'dpo', bmc: {}, dataWeights: true }))).toContain('leave bmc out');
    expect(
      message(() => activate({ name: 'dpo', token_weights: { name: 'data' }, dataWeights: false })),
    ).toContain('no row carries token weights');
  });

  it('two spellings of token weights at once, unknown ones, and unknown settings of them', () => {
    const weights = { name: 'bmc', settings: {} };
    expect(message(() => activate({ name: 'dpo', bmc: {}, token_weights: weights }))).toContain(
      'remove one of the two',
    );
    expect(message(() => activate({ name: 'dpo', token_weights: { name: 'bmx' } }))).toContain(
      'token_weights.name: there is no token weight "bmx"; did you mean bmc?',
    );
    expect(
      message(() => activate({ name: 'dpo', token_weights: { name: 'bmc', settings: { detla: 1 } } })),
    ).toContain('token_weights.settings.detla: there is no such key; did you mean delta?');
  });
});

describe('token weights', () => {
  it('may be spelled bmc: {...} as before', () => {
    const [short, long] = [
      activate({ name: 'dpo', bmc: { delta: 3 } }),
      activate({ name: 'dpo', token_weights: { name: 'bmc', settings: { delta: 3 } } }),
    ];
    expect(short.tokenWeights?.settings).toEqual({
      delta: 3,
      diff: 'levenshtein',
      reference_weights: 'policy',
    });
    expect(long.tokenWeights?.settings).toEqual(short.tokenWeights?.settings);
    expect(long.needs).toEqual(short.needs);
  });

  it('of the rows are used wherever a method takes any', () => {
    for (const { name } of objectives.filter((o) => o.takesTokenWeights))
      expect(activate({ name, dataWeights: true }).tokenWeights?.name, name).toBe('data');
    expect(activate({ name: 'dpo', dataWeights: false }).tokenWeights).toBeUndefined();
  });
});
