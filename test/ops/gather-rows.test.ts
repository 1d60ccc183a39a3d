import { beforeAll, describe, it } from 'vitest';
import { picks } from '../../src/data/occurrences.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { gatherRows } from '../../src/ops/indexing/gather-rows.ts';
import { checkOp } from '../support/check-op.ts';
import { testGpu } from '../support/gpu.ts';
import { gridValues, type Workbench } from '../support/workbench.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

const attributes = (rows: readonly number[], tokens: number) => (bench: Workbench) => {
  const lists = picks(Uint32Array.from(rows), { tokens, rows: rows.length, pairs: 1 });
  return {
    rows: bench.indices('rows', [rows.length], rows),
    starts: bench.indices('starts', [tokens + 1], lists.starts),
    picks: bench.indices('picks', [rows.length], lists.picks),
  };
};

describe('gather_rows against finite differences', () => {
  it.each([
    ['the last prompt token predicts both branches; some rows are never taken', [2, 3, 2, 4, 2, 5], 8, 6],
    ['one row', [0], 1, 3],
    ['every row from one token', [4, 4, 4, 4, 4, 4, 4, 4, 4], 5, 5],
    ['all rows, backwards', [6, 5, 4, 3, 2, 1, 0], 7, 4],
  ])('%s', async (_name, rows, tokens, width) => {
    const inputs = [gridValues(3, [tokens, width])];
    await checkOp(gpu, { op: gatherRows, inputs, attributes: attributes(rows, tokens), tolerance: 1e-6 });
  });
});
