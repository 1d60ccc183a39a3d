import { beforeAll, describe, expect, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device.ts';
import { makeRotaryTable, type RopeScaling, rotaryFrequencies } from '../../src/nn/rotary-table.ts';
import { rotary } from '../../src/ops/elementwise/rotary.ts';
import { checkFixture, checkOp } from '../support/check-op.ts';
import { expectClose } from '../support/close.ts';
import { fixturesOf } from '../support/fixtures.ts';
import { testGpu } from '../support/gpu.ts';
import { gridValues, type Workbench } from '../support/workbench.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

interface FixtureScaling {
  readonly factor: number;
  readonly low_freq_factor: number;
  readonly high_freq_factor: number;
  readonly original_max_position_embeddings: number;
}

const scalingOf = (s: FixtureScaling | null): RopeScaling | undefined =>
  s === null
    ? undefined
    : {
        factor: s.factor,
        lowFrequencyFactor: s.low_freq_factor,
        highFrequencyFactor: s.high_freq_factor,
        originalMaxPositions: s.original_max_position_embeddings,
      };

const attributes =
  (positions: readonly number[], headDim: number, theta: number, scaling?: RopeScaling) =>
  (bench: Workbench) => {
    const made = makeRotaryTable(gpu, Math.max(...positions) + 1, headDim, theta, scaling);
    bench.adopt(made.table);
    return { ...made, headDim, positions: bench.indices('positions', [positions.length], positions) };
  };

describe("rotary is Hugging Face's rotate_half, up to position 8191", () => {
  it.each(fixturesOf('rotary').map((f) => [f.name, f] as const))('%s', async (_name, fixture) => {
    const { head_dim: headDim, theta } = fixture.attrs as { head_dim: number; theta: number };
    const scaling = scalingOf(fixture.attrs.scaling as FixtureScaling | null);
    const positions = [...fixture.inputs.position.data];
    expect(positions).toContain(8191);
    await checkFixture(gpu, fixture, ['x'], ['y'], {
      op: rotary,
      attributes: attributes(positions, headDim, theta, scaling),
      reshape: ([tokens, heads, dim]) => [tokens, heads * dim],
      tolerance: 1e-6,
    });
  });

  it.each(fixturesOf('rotary').map((f) => [f.name, f] as const))('frequencies of %s', (_name, { attrs }) => {
    const scaling = scalingOf(attrs.scaling as FixtureScaling | null);
    const frequencies = rotaryFrequencies(Number(attrs.head_dim), Number(attrs.theta), scaling);
    // Relative to each frequency: at position 8191 the smallest ones matter as much as the largest.
    frequencies.forEach((frequency, d) => {
      const expected = (attrs.inv_freq as number[])[d];
      expectClose([frequency / expected], [1], 1e-12, `frequency ${d}`);
    });
  });
});

describe('rotary against finite differences', () => {
  it.each([
    [1, 2],
    [3, 10],
  ])('%i heads of %i', async (heads, headDim) => {
    const inputs = [gridValues(6, [5, heads * headDim])];
    await checkOp(gpu, {
      op: rotary,
      inputs,
      attributes: attributes([0, 8191, 7, 7, 1], headDim, 5e5),
      tolerance: 2e-6,
    });
  });
});
