import { beforeAll, describe, expect, it } from 'vitest';
import { occurrences } from '../../src/data/occurrences.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { embedding } from '../../src/ops/indexing/embedding.ts';
import { checkFixture, checkOp } from '../support/check-op.ts';
import { fixturesOf } from '../support/fixtures.ts';
import { testGpu } from '../support/gpu.ts';
import { gridValues, type Workbench } from '../support/workbench.ts';
import { halfValues } from './half-values.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

/** What the training loop gives: ids and their occurrence lists, with room for `capacity` distinct ids. */
const attributes =
  (ids: readonly number[], capacity = ids.length, scale = 1) =>
  (bench: Workbench) => {
    const lists = occurrences(Uint32Array.from(ids), capacity);
    return {
      scale,
      ids: bench.indices('ids', [ids.length], ids),
      occurrences: {
        order: bench.indices('order', [ids.length], lists.order),
        starts: bench.indices('starts', [capacity + 1], lists.starts),
        uniqueIds: bench.indices('unique ids', [capacity], lists.uniqueIds),
      },
    };
  };

describe("embedding is PyTorch's table[ids], and its gradient the sum over equal ids", () => {
  for (const fixture of fixturesOf('embedding')) {
    it.each(['f32', 'f16', 'bf16'] as const)(`${fixture.name}, table in %s`, async (table) => {
      await checkFixture(gpu, fixture, ['table'], ['y'], {
        op: embedding,
        attributes: attributes([...fixture.inputs.ids.data]),
        dtypes: { table },
      });
    });
  }
});

describe('embedding against finite differences', () => {
  it.each([
    ['one token', [4], 1],
    ['one id many times', [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2], 17],
    ['first and last row, lists with empty slots', [6, 0, 6, 3, 0], 11],
  ])('%s', async (_name, ids, capacity) => {
    const inputs = [gridValues(1, [7, 10])];
    await checkOp(gpu, { op: embedding, inputs, attributes: attributes(ids, capacity), leavesOnly: true });
  });

  it('multiplied by a scale', async () => {
    const inputs = [gridValues(1, [7, 10])];
    const scaled = attributes([4, 0, 4], 3, Math.sqrt(10));
    await checkOp(gpu, { op: embedding, inputs, attributes: scaled, leavesOnly: true });
  });

  it.each(['f16', 'bf16'] as const)('%s tables are widened exactly', async (dtype) => {
    const inputs = [halfValues(dtype, [7, 10])];
    const c = { op: embedding, inputs, attributes: attributes([6, 0, 6, 3, 0, 1]), leavesOnly: true };
    await checkOp(gpu, { ...c, tolerance: 1e-7 });
  });
});

describe('occurrence lists', () => {
  it('hold every token once, sorted by id, in order of appearance', () => {
    const lists = occurrences(Uint32Array.of(5, 1, 5, 9, 1), 5);
    expect([...lists.order]).toEqual([1, 4, 0, 2, 3]);
    expect([...lists.uniqueIds.subarray(0, 3)]).toEqual([1, 5, 9]);
    expect([...lists.starts]).toEqual([0, 2, 4, 5, 5, 5]);
  });
});
