/** Every objective against PyTorch's values, through the production kernels and the graph that training runs. */
import { describe, expect, it } from 'vitest';
import { evaluateCase } from '../../src/cases/result.ts';
import { Gpu } from '../../src/gpu/device.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { testGpu } from '../support/gpu.ts';
import { readFixture } from './golden.ts';
import { expectCase, type Golden, named } from './golden-case.ts';

const golden = readFixture<Golden>('golden/golden.json');
const { pairs } = golden.batch;

describe('objectives agree with PyTorch', () => {
  it.each(named(golden.cases))('%s', async (_, expected) => {
    expectCase(await evaluateCase(await testGpu(), pairs, expected), expected);
  });

  it('epsilon-dpo with a pair that is not monotonic', async () => {
    const { pairs: extra, case: expected } = golden.epsilon_dpo_extra;
    expectCase(await evaluateCase(await testGpu(), extra, expected), expected);
  });

  it('BMC varies exactly the tokens of the masks', async () => {
    for (const expected of golden.cases.filter((c) => c.name.endsWith('_bmc'))) {
      const result = await evaluateCase(await testGpu(), pairs, expected);
      for (const side of ['chosen', 'rejected'] as const) {
        const varied = result[`weight_${side}`]?.map((answer) =>
          answer.map((weight) => Number(weight !== 1)),
        );
        expect(varied).toEqual(expected[`mask_${side}`]);
      }
    }
  });

  it('policy = reference gives every pair step 0 and leaves beta alone, exactly', async () => {
    const equal = pairs.map((p) => ({
      ...p,
      ref_chosen_logits: p.policy_chosen_logits,
      ref_rejected_logits: p.policy_rejected_logits,
    }));
    const request = { name: 'epsilon_dpo', hp: { beta: 0.1, epsilon: 0.01 } };
    const result = await evaluateCase(await testGpu(), equal, request);
    expect(result.steps?.map(Math.abs)).toEqual(pairs.map(() => 0));
    expect(result.chosen_rewards?.map(Math.abs)).toEqual(pairs.map(() => 0));
    expect(result.beta_next).toBe(Math.fround(0.1));
  });
});

describe('a changed constant in a production kernel is noticed', () => {
  it.each([
    ['objectives/bmc_weights.wgsl', '1.0 + diff', '1.001 + diff', 'dpo_bmc'],
    ['shared/math.wgsl', 'q * (1.0 / 3.0 ', 'q * (1.0 / 3.01 ', 'dpo'],
    ['elementwise/vector_unary.wgsl', 'sigmoid(-a)', 'sigmoid(a)', 'orpo'],
    ['logps/epsilon_logps_finish.wgsl', '- log_ratio(rest.x', '+ log_ratio(rest.x', 'epsilon_dpo'],
    ['objectives/beta_dpo_statistics.wgsl', 'pairs - 1.0', 'pairs - 0.0', 'beta_dpo'],
    ['logps/token_logps_finish.wgsl', '- log_sum', '- 1.001 * log_sum', 'mipo'],
  ])('%s', async (file, text, changed, name) => {
    const runtime = nodeRuntime();
    const kernelSources = async () => {
      const sources = await runtime.kernelSources();
      expect(sources[file]).toContain(text);
      return { ...sources, [file]: sources[file].replaceAll(text, changed) };
    };
    const gpu = await Gpu.open({ ...runtime, kernelSources });
    const check = async () => {
      for (const expected of golden.cases.filter((c) => c.name === name))
        expectCase(await evaluateCase(gpu, pairs, expected), expected);
    };
    await expect(check()).rejects.toThrow(name);
    gpu.close();
  });
});
