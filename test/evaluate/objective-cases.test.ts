/** Every objective against PyTorch's values, through the production kernels and the graph that training runs. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { CasePair } from '../../src/evaluate/case-file.ts';
import { evaluateCase } from '../../src/evaluate/case-result.ts';
import { Gpu } from '../../src/gpu/device.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';

interface GoldenCase {
  readonly name: string;
  readonly hp: Record<string, unknown>;
  readonly loss: number;
  readonly [key: string]: unknown;
}

const golden = JSON.parse(
  readFileSync(new URL('../fixtures/golden/golden.json', import.meta.url), 'utf8'),
) as {
  batch: { pairs: CasePair[] };
  cases: GoldenCase[];
  epsilon_dpo_extra: { pairs: CasePair[]; case: GoldenCase };
};

/** Compared within 1e-5 where the golden case has them. */
const CLOSE = [
  'losses',
  'chosen_rewards',
  'rejected_rewards',
  'weight_chosen',
  'weight_rejected',
  'grad_chosen',
  'grad_rejected',
];
const EPSILON = ['beta_per_pair', 'beta_next', 'grad_chosen_logits', 'grad_rejected_logits'];

async function expectGolden(gpu: Gpu, pairs: CasePair[], expected: GoldenCase): Promise<void> {
  const actual = await evaluateCase(gpu, pairs, expected);
  expectClose([Number(actual.loss)], [expected.loss], 1e-5, 'loss');
  for (const key of [...CLOSE, ...EPSILON]) {
    // ORPO-BMC's golden losses include the likelihood term, ours are the odds part.
    if (!(key in expected) || (key === 'losses' && expected.name === 'orpo_bmc')) continue;
    expectClose(flat(actual[key]), flat(expected[key]), 1e-5, `${expected.name} ${key}`);
  }
  if ('steps' in expected) expect(actual.steps).toEqual(expected.steps);
}

function flat(value: unknown): number[] {
  return Array.isArray(value) ? value.flatMap(flat) : [Number(value)];
}

describe('objectives agree with PyTorch', () => {
  it.each(golden.cases.map((c): [string, GoldenCase] => [`${c.name} ${JSON.stringify(c.hp)}`, c]))(
    '%s',
    async (_, expected) => {
      await expectGolden(await testGpu(), golden.batch.pairs, expected);
    },
  );

  it('epsilon-dpo with a pair that is not monotonic', async () => {
    await expectGolden(await testGpu(), golden.epsilon_dpo_extra.pairs, golden.epsilon_dpo_extra.case);
  });

  it('policy = reference gives every pair step 0, exactly', async () => {
    const pairs = golden.batch.pairs.map((p) => ({
      ...p,
      ref_chosen_logits: p.policy_chosen_logits,
      ref_rejected_logits: p.policy_rejected_logits,
    }));
    const result = await evaluateCase(await testGpu(), pairs, {
      name: 'epsilon_dpo',
      hp: { beta: 0.1, epsilon: 0.01 },
    });
    expect((result.steps as number[]).map((step) => Math.abs(step))).toEqual(pairs.map(() => 0));
  });

  it('a changed constant in a production kernel is noticed', async () => {
    const runtime = nodeRuntime();
    const spoiled = {
      ...runtime,
      kernelSources: async () => {
        const sources = await runtime.kernelSources();
        return {
          ...sources,
          'bmc_weights.wgsl': sources['bmc_weights.wgsl'].replace('1.0 + diff', '1.1 + diff'),
        };
      },
    };
    const gpu = await Gpu.open(spoiled);
    const dpoBmc = golden.cases.find((c) => c.name === 'dpo_bmc');
    expect(dpoBmc).toBeDefined();
    if (dpoBmc !== undefined)
      await expect(expectGolden(gpu, golden.batch.pairs, dpoBmc)).rejects.toThrow(/loss/);
    gpu.close();
  });
});
