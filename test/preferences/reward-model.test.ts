import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadModel } from '../../src/models/loading/load.ts';
import { hiddenStates } from '../../src/preferences/hidden-states.ts';
import { lastPlace, RewardModel, type RewardText } from '../../src/preferences/raters/reward-model.ts';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';

const FIXTURES = 'test/fixtures/families';
const { texts, scores } = JSON.parse(readFileSync(`${FIXTURES}/reward.json`, 'utf8')) as {
  texts: RewardText[];
  scores: Record<'linear' | 'gated', number[]>;
};

describe('a reward model', () => {
  it.each(['linear', 'gated'] as const)('with a %s head scores as PyTorch does', async (head) => {
    const model = await RewardModel.load(await testGpu(), `${FIXTURES}/reward-${head}`);
    expect(model.isGated).toBe(head === 'gated');
    expectClose(await model.score(texts), scores[head], 2e-5, `${head} scores`);
    expectClose(await model.score(texts.slice(1, 2)), [scores[head][1]], 2e-5, 'one text alone');
    model.free();
  });

  it('is refused where there is no head of one', async () => {
    const gpu = await testGpu();
    await expect(RewardModel.load(gpu, `${FIXTURES}/qwen2`)).rejects.toThrow(
      'qwen2: has no head of a reward model (score.weight, or regression_layer.weight with gating)',
    );
  });
});

describe('hidden states', () => {
  it('of a place do not depend on which other places are asked for', async () => {
    const gpu = await testGpu();
    const options = { train: 'none', dtype: 'f32', positions: 64, backbone: true } as const;
    const loaded = await loadModel(gpu, `${FIXTURES}/reward-linear`, options);
    const [{ ids }] = texts;
    const places = ids.map((_, i) => i);
    const [all, [third, last]] = await hiddenStates(
      gpu,
      loaded.model,
      [
        { ids, places },
        { ids, places: [3, ids.length - 1] },
      ],
      256,
    );
    expect(all).toHaveLength(ids.length);
    expectClose(third, all[3], 1e-6, 'state at place 3');
    expectClose(last, all[ids.length - 1], 1e-6, 'last state');
    loaded.free();
  });
});

it('the place of the gates is that of the last headers', () => {
  expect(lastPlace([7, 8, 1, 7, 8, 2], [7, 8])).toBe(3);
  expect(lastPlace([7, 1], [7, 8])).toBe(-1);
});
