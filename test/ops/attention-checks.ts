/** What attention is held to, by test files that differ in kernels and shapes. */
import { expect } from 'vitest';
import type { Gpu } from '../../src/gpu/device.ts';
import { attention } from '../../src/ops/attention/attention.ts';
import { checkFixture, runOp } from '../support/check-op.ts';
import { expectClose } from '../support/close.ts';
import type { OpFixture } from '../support/fixtures.ts';
import { gridValues, Workbench } from '../support/workbench.ts';
import { packedLayout } from './packed-layout.ts';

export interface Shape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly window?: number;
  readonly softcap?: number;
}

export const attributes =
  (documents: readonly (readonly number[])[], shape: Shape) => (bench: Workbench) => ({
    ...shape,
    layout: packedLayout(bench, documents),
  });

export async function checkPyTorch(gpu: Gpu, fixture: OpFixture): Promise<void> {
  const {
    heads,
    kv_heads: kvHeads,
    head_dim: headDim,
    documents,
  } = fixture.attrs as {
    heads: number;
    kv_heads: number;
    head_dim: number;
    documents: number[][];
  };
  const shape = {
    heads,
    kvHeads,
    headDim,
    window: (fixture.attrs.window as number | null) ?? undefined,
    softcap: (fixture.attrs.softcap as number | null) ?? undefined,
  };
  await checkFixture(gpu, fixture, ['q', 'k', 'v'], ['y'], {
    op: attention,
    attributes: attributes(documents, shape),
    reshape: ([tokens, count, dim]) => [tokens, count * dim],
  });
}

/** Tiled attention over several tiles, and its gradients, are plain attention's. */
export async function expectTilesEqualPlain(gpu: Gpu, shape: Shape): Promise<void> {
  const documents = [
    [40, 70, 33],
    [1, 31, 32],
  ];
  const tokens = documents.flat().reduce((a, b) => a + b, 0);
  const width = (heads: number) => [tokens, heads * shape.headDim];
  const inputs = [shape.heads, shape.kvHeads, shape.kvHeads].map((n, i) => gridValues(4 + i, width(n)));
  const run = async (variant: 'plain' | 'tiled') => {
    gpu.choices.attention = variant;
    const bench = new Workbench(gpu);
    const dy = gridValues(9, width(shape.heads));
    const given = attributes(documents, shape)(bench);
    const { outputs, gradients } = await runOp(bench, attention, inputs, given, 'inner', [0, 1, 2], dy);
    bench.free();
    return [...outputs, ...gradients.map((g) => g ?? new Float32Array())];
  };
  const [plain, tiles] = [await run('plain'), await run('tiled')];
  expect(plain.map((values) => values.length / (tokens * shape.headDim))).toEqual([
    shape.heads,
    shape.heads,
    shape.kvHeads,
    shape.kvHeads,
  ]);
  for (const [i, values] of tiles.entries())
    expectClose(values, plain[i], 1e-5, ['y', 'd q', 'd k', 'd v'][i]);
}
