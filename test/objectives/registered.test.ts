/** Methods and token weights of one's own: defined, registered, and from then on a name in a configuration. */
import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  defineObjective,
  defineTokenWeight,
  likelihoods,
  registerObjective,
  registerTokenWeight,
} from '../../src/index.ts';
import { activate } from '../../src/objectives/choice.ts';
import { objectives, tokenWeights } from '../../src/objectives/registry.ts';
import { vectorMath } from '../../src/ops/elementwise/vector.ts';
import { tapeFor } from '../../src/ops/index.ts';
import { readTrainConfig, trainConfigFrom } from '../../src/train/config.ts';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { openTrainer, runSteps, randomPairs as tokenPairs } from '../support/trainer.ts';
import { randomPairs, runStep } from './step.ts';

// Test files share their modules: what is registered here must not be there for the next one.
const builtIn = { objectives: objectives.length, tokenWeights: tokenWeights.length };
afterAll(() => {
  (objectives as unknown[]).length = builtIn.objectives;
  (tokenWeights as unknown[]).length = builtIn.tokenWeights;
});

/** loss = (beta h - margin)^2 with h = (Pw - Pl) - (Rw - Rl): none of the built-in ones. */
registerObjective(
  defineObjective({
    name: 'squared-margin',
    formula: '(beta h - margin)^2',
    paper: 'this test',
    settings: z.strictObject({
      beta: z.number().positive().default(0.5),
      margin: z.number().default(1).describe('where the loss is 0'),
    }),
    separable: true,
    takesTokenWeights: true,
    defaults: { learning_rate: 3e-4 },
    needs: () => ({ reference: 'logps', rows: 'pairs' }),
    losses(inputs, { beta, margin }) {
      const l = likelihoods(inputs);
      const ratio = (side: typeof inputs.chosen) => l.subtract(l.policySum(side), l.referenceSum(side));
      const h = l.subtract(ratio(inputs.chosen), ratio(inputs.rejected));
      const losses = l.square(l.affine(h, beta, -margin));
      return { loss: l.dot(losses, inputs.pairWeights), losses };
    },
    contributions(inputs, { beta }) {
      const l = likelihoods(inputs);
      return l.affine(l.logRatioTokens(), beta);
    },
    rewardScale: ({ beta }) => beta,
    lossAtReference: ({ margin }) => margin ** 2,
  }),
);

/** lambda_t = floor + scale |p_t|: surprising tokens weigh more, differing or not. */
registerTokenWeight(
  defineTokenWeight({
    name: 'surprise',
    formula: 'lambda_t = floor - scale p_t',
    paper: 'this test',
    settings: z.strictObject({ floor: z.number().default(1), scale: z.number().min(0).default(0.5) }),
    weights: (recorder, { logps }, { floor, scale }) => ({
      weights: vectorMath(tapeFor(recorder)).affine({ ...logps, requiresGrad: false }, -scale, floor),
    }),
    metrics: (_inputs, { weights }) => ({ 'surprise/weight': weights }),
  }),
);

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

describe('an objective of one’s own', () => {
  it('is named in a configuration, with its settings, defaults and remedies', () => {
    const config = trainConfigFrom({
      model: { path: 'm' },
      objective: { name: 'squared-margin', settings: { margin: 2 } },
      data: { train: 'd.jsonl' },
      output_dir: 'out',
    });
    expect(config.training.learning_rate).toBe(3e-4);
    expect(activate(config.objective)).toMatchObject({ rewardScale: 0.5, lossAtReference: 4 });
    const { problems } = readTrainConfig({
      ...config,
      objective: { name: 'squared-margin', settings: { marjin: 1 } },
    });
    expect(problems.map(({ message }) => message)).toContain('there is no such key; did you mean margin?');
  });

  it('trains: its loss starts where it says and falls', async () => {
    const trainer = await openTrainer(await testGpu(), {
      objective: { name: 'squared-margin' },
      train: tokenPairs(4, 3, 3, 9),
      training: { learning_rate: 1e-4, per_device_train_batch_size: 4, max_steps: 4 },
    });
    const steps = await runSteps(trainer, 4);
    trainer.free();
    expectClose([steps[0].loss], [1], 1e-5, 'loss at the reference');
    expect(steps[3].loss).toBeLessThan(0.9);
  });

  it('cannot take a name that is taken', () => {
    const again = defineObjective({
      name: 'dpo',
      formula: '0',
      paper: 'this test',
      settings: z.strictObject({}),
      separable: true,
      takesTokenWeights: false,
      needs: () => ({ reference: 'none', rows: 'pairs' }),
      losses: ({ logps, pairWeights }) => ({ loss: logps, losses: pairWeights }),
      contributions: ({ logps }) => logps,
    });
    expect(() => registerObjective(again)).toThrow('There is an objective named "dpo" already.');
  });
});

describe('a token weight of one’s own', () => {
  const pairs = randomPairs(5, [
    [4, 3],
    [2, 5],
  ]);
  const token_weights = { name: 'surprise', settings: { scale: 0.25 } };

  it('weighs the sums of any method that takes token weights', async () => {
    for (const name of ['dpo', 'squared-margin']) {
      const active = activate({ name, token_weights });
      const { values } = await runStep(await testGpu(), active, pairs);
      const reward = (side: 'chosen' | 'rejected') =>
        pairs.map((pair) => {
          const { logps = [], ref = [] } = pair[side] ?? {};
          return active.rewardScale * sum(logps.map((p, t) => (1 - 0.25 * p) * (p - ref[t])));
        });
      expectClose(values['rewards/chosen'], reward('chosen'), 1e-5, `${name}: chosen rewards`);
      expectClose(values['rewards/rejected'], reward('rejected'), 1e-5, `${name}: rejected rewards`);
      const mean = pairs.map(
        ({ chosen }) => 1 - (0.25 * sum(chosen?.logps ?? [])) / (chosen?.logps.length ?? 1),
      );
      expectClose(values['surprise/weight_chosen'], mean, 1e-5, `${name}: metric`);
    }
  });

  it('is listed and refused like the built-in ones', () => {
    const refusal = (choice: Parameters<typeof activate>[0]) => () => activate(choice);
    expect(refusal({ name: 'mipo', token_weights })).toThrow(
      'mipo does not take token weights; dpo, ipo, simpo, orpo, rdpo, squared-margin do',
    );
    expect(refusal({ name: 'dpo', token_weights: { name: 'suprise' } })).toThrow(
      'did you mean surprise? Known: bmc, data, surprise',
    );
    expect(refusal({ name: 'dpo', token_weights: { name: 'surprise', settings: { scale: -1 } } })).toThrow(
      'token_weights.settings.scale: found -1; expected a number of at least 0',
    );
  });
});
