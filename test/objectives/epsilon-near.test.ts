/** Small differences decide: steps while policy and reference differ by a few thousandths in logits of size 20. */
import { expect, it } from 'vitest';
import type { CasePair } from '../../src/cases/file.ts';
import { evaluateCase } from '../../src/cases/result.ts';
import { testGpu } from '../support/gpu.ts';
import { gridValues } from '../support/workbench.ts';

const VOCABULARY = 32;
const EPSILON = 0.01;

/** Rows of multiples of 2^-10 around 20: exact in f32, so that only the kernels round. */
function logits(seed: number, tokens: number, scale: number): number[][] {
  const { data } = gridValues(seed, [tokens, VOCABULARY]);
  return Array.from({ length: tokens }, (_, t) =>
    Array.from({ length: VOCABULARY }, (_, v) => scale * data[t * VOCABULARY + v]),
  );
}

function pairOf(seed: number): CasePair {
  const side = (offset: number) => {
    const tokens = 2 + ((seed + offset) % 4);
    const policy = logits(seed + offset, tokens, 2).map((row) => row.map((z) => 20 + z));
    const noise = logits(seed + offset + 1, tokens, 2 ** -7);
    return {
      ids: policy.map((_, t) => (7 * seed + 3 * t + offset) % VOCABULARY),
      policy,
      ref: policy.map((row, t) => row.map((z, v) => z + noise[t][v])),
    };
  };
  const [chosen, rejected] = [side(1000), side(2000)];
  return {
    chosen_ids: chosen.ids,
    rejected_ids: rejected.ids,
    policy_chosen_logits: chosen.policy,
    policy_rejected_logits: rejected.policy,
    ref_chosen_logits: chosen.ref,
    ref_rejected_logits: rejected.ref,
  };
}

/** H of the pair under z + e (z - zref), in f64. */
function gap(pair: CasePair, e: number): number {
  const sum = (side: 'chosen' | 'rejected') =>
    pair[`policy_${side}_logits`].reduce((total, row, t) => {
      const moved = row.map((z, v) => z + e * (z - pair[`ref_${side}_logits`][t][v]));
      const largest = Math.max(...moved);
      const lse = largest + Math.log(moved.reduce((s, z) => s + Math.exp(z - largest), 0));
      return total + moved[pair[`${side}_ids`][t]] - lse;
    }, 0);
  return sum('chosen') - sum('rejected');
}

it('finds the steps of f64 for all of 64 pairs', async () => {
  const pairs = Array.from({ length: 64 }, (_, i) => pairOf(10 * i + 1));
  const expected = pairs.map((pair) => {
    const [plus, h, minus] = [EPSILON, 0, -EPSILON].map((e) => gap(pair, e));
    return Number(plus > h && h > minus) - Number(minus > h && h > plus);
  });
  const request = { name: 'epsilon_dpo', hp: { beta: 0.1, epsilon: EPSILON } };
  const { steps } = await evaluateCase(await testGpu(), pairs, request);
  expect(steps).toEqual(expected);
});
