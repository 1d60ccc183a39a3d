/** Loading a model of any size keeps a bounded number of bytes in the driver's hands. */
import { describe, expect, it, vi } from 'vitest';
import { openGpu } from '../support/gpu.ts';

const MIB = 2 ** 20;

describe('streaming to the GPU', () => {
  it('waits for the queue every 256 MiB, and everything arrives', async () => {
    const gpu = await openGpu();
    try {
      const storage = gpu.memory.allocate('weights', 64 * MIB, 'weights');
      const slice = { storage, byteOffset: 0, byteLength: 64 * MIB };
      const wait = vi.spyOn(gpu, 'settle');
      const piece = new Uint8Array(16 * MIB);
      for (let i = 0; i < 40; i++) {
        piece.fill(i);
        await gpu.stream(slice, piece, (i % 4) * 16 * MIB);
      }
      expect(wait).toHaveBeenCalledTimes(Math.floor((40 * 16) / 256));
      const bytes = new Uint8Array(await gpu.read(slice));
      expect([0, 1, 2, 3].map((k) => bytes[k * 16 * MIB + 5])).toEqual([36, 37, 38, 39]);
    } finally {
      gpu.close();
    }
  });
});
