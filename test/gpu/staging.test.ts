/** What is large goes to the GPU and comes back through rings of a few pieces, whatever its size. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device.ts';
import type { Slice } from '../../src/gpu/memory.ts';
import { DownloadRing, SLOTS, UploadRing } from '../../src/gpu/staging.ts';
import { openGpu } from '../support/gpu.ts';

const PIECE = 4096;

let gpu: Gpu;
beforeAll(async () => {
  gpu = await openGpu();
});
afterAll(() => gpu.close());

function allocate(byteLength: number): Slice {
  const storage = gpu.memory.allocate('target', byteLength, 'weights');
  return { storage, byteOffset: 0, byteLength };
}

/** Bytes that tell where they belong. */
function pattern(length: number, seed: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => (7 * i + (i >> 8) + seed) % 251);
}

describe('an upload ring', () => {
  it('cuts what is longer than a piece, holds a few pieces of staging memory, and gives them back', async () => {
    const slice = allocate(10 * PIECE);
    const before = gpu.memory.current;
    const ring = new UploadRing(gpu, PIECE);
    const data = pattern(9 * PIECE + 20, 1);
    await ring.write(slice, data, 256);
    expect(gpu.memory.current - before).toBe(SLOTS * PIECE);
    const bytes = new Uint8Array(await gpu.read(slice));
    expect(bytes.subarray(256, 256 + data.length)).toEqual(data);
    expect(bytes.subarray(0, 256).every((b) => b === 0)).toBe(true);
    ring.free();
    expect(gpu.memory.current).toBe(before);
    gpu.memory.free(slice.storage);
  });

  it('takes data over: what becomes of it afterwards does not matter', async () => {
    const slice = allocate(20 * PIECE);
    const ring = new UploadRing(gpu, PIECE);
    const piece = new Uint8Array(PIECE);
    for (let i = 0; i < 20; i++) await ring.write(slice, piece.fill(i + 1), i * PIECE);
    piece.fill(99);
    const bytes = new Uint8Array(await gpu.read(slice));
    expect(Array.from({ length: 20 }, (_, i) => bytes[i * PIECE + 5])).toEqual(
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
    ring.free();
    gpu.memory.free(slice.storage);
  });

  it('writes to storages in host memory, too', async () => {
    const storage = gpu.memory.reserve('moments', PIECE, 'optimizer');
    gpu.memory.place(storage, 'host');
    const slice = { storage, byteOffset: 256, byteLength: PIECE - 256 };
    const ring = new UploadRing(gpu, PIECE);
    await ring.write(slice, pattern(128, 3), 64);
    expect(storage.host?.subarray(320, 448)).toEqual(pattern(128, 3));
    expect(new Uint8Array(await gpu.read(slice, 64, 128))).toEqual(pattern(128, 3));
    ring.free();
    gpu.memory.free(storage);
    await expect(gpu.read(slice)).rejects.toThrow('moments has no memory');
  });
});

describe('a download ring', () => {
  it('has brought everything once it is drained, more pieces than it has slots', async () => {
    const slice = allocate(11 * PIECE);
    const data = pattern(11 * PIECE, 5);
    gpu.write(slice, data);
    const ring = new DownloadRing(gpu, PIECE);
    const received = new Uint8Array(11 * PIECE);
    for (let i = 0; i < 11; i++) {
      const part = { ...slice, byteOffset: i * PIECE, byteLength: PIECE };
      await ring.read(part, received.subarray(i * PIECE, (i + 1) * PIECE));
    }
    await ring.drain();
    expect(received).toEqual(data);
    ring.free();
    gpu.memory.free(slice.storage);
  });
});
