import { beforeAll, describe, expect, it } from 'vitest';
import { download, temporary } from '../../src/autograd/tensor.ts';
import { Workspace } from '../../src/autograd/workspace.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { recordFill } from '../../src/ops/elementwise/fill.ts';
import { accumulate } from '../../src/ops/index.ts';
import { testGpu } from '../support/gpu.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

describe('a workspace', () => {
  it('allocates nothing while it is planned, then exactly what it said, and gives all of it back', async () => {
    const before = gpu.memory.current;
    const workspace = new Workspace(gpu);
    const sum = workspace.tensor('sum', [8], 'f32', 'state');
    workspace.readback('read-back', 64);
    const program = workspace.program('twice', (recorder) => {
      const ones = temporary(recorder, 'ones', [8]);
      recordFill(recorder, ones, 1);
      accumulate(recorder, ones, { tensor: sum, accumulate: true });
      accumulate(recorder, ones, { tensor: sum, accumulate: true });
    });
    const { missingBytes } = workspace;
    expect(gpu.memory.current).toBe(before);
    await workspace.bind();
    expect(gpu.memory.current).toBe(before + missingBytes);
    expect(workspace.missingBytes).toBe(0);
    program.run();
    expect([...(await download(gpu, sum))]).toEqual(new Array(8).fill(2));
    workspace.free();
    expect(gpu.memory.current).toBe(before);
  });

  it('keeps what was written to its tensors between allocating and binding', async () => {
    const workspace = new Workspace(gpu);
    const values = workspace.tensor('values', [4], 'f32', 'state');
    workspace.allocate();
    gpu.write(values.shards[0], Float32Array.of(1, 2, 3, 4));
    await workspace.bind();
    expect([...(await download(gpu, values))]).toEqual([1, 2, 3, 4]);
    workspace.free();
  });
});
