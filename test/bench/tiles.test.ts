/** What is counted for tiles of products on tensor cores, against counts by hand. */
import { describe, expect, it } from 'vitest';
import {
  blocksTouched,
  globalIntensity,
  instructionsOf,
  loadPasses,
  passes,
  registersOf,
  sharedIntensity,
  slabPasses,
  stagedPair,
  storePasses,
  useOf,
} from '../../bench/tiles.ts';
import { MATRIX_FORMS, tileOf } from '../../src/ops/linear/matrix-tiles.ts';
import { NVIDIA } from '../support/matrix-devices.ts';

const lanes = Array.from({ length: 32 }, (_, lane) => lane);

describe('passes through 32 banks of 4 bytes', () => {
  it.each([
    ['neighbouring words', 4, 4, 1],
    ['one word for all', 0, 4, 1],
    ['every second word', 8, 4, 2],
    ['words of one bank', 128, 4, 32],
    ['halves of words', 2, 2, 1],
    ['a vec4 of f16 each', 8, 8, 2],
  ])('%s', (_name, step, bytes, expected) => {
    expect(
      passes(
        lanes.map((lane) => step * lane),
        bytes,
      ),
    ).toBe(expected);
  });
});

describe('a slab of 128 x 128', () => {
  const at = (depth: number, padding?: number) => tileOf(NVIDIA, MATRIX_FORMS.matrices, depth, padding);
  const own = (depth: number, padding?: number) => stagedPair(at(depth, padding), 'FORWARD').own;

  // Lines of 32 f16 begin every 64 bytes, at banks 0 and 16 alone: four on each. Padded, every 20 words: 0 20 8 28 16 4 24 12.
  it('is loaded without conflicts where its lines are padded', () => {
    expect(loadPasses(own(32, 0))).toBe(4);
    expect(loadPasses(own(32))).toBe(1);
  });

  // 16 deep, 8 lines of 8 words begin at banks 0 12 24 4 16 28 8 20: 64 words, two to a bank. 32 deep, 4 lines of 16 words begin at
  // 0 20 8 28: banks 0 to 3 have three. Apart, each of a vec4's four stores is half of every second word: two passes or three, where
  // its 64 bytes need half a one.
  it('is stored with the conflicts that its lines have', () => {
    expect(storePasses(own(16), 32, 'merged')).toBe(1);
    expect(storePasses(own(32), 32, 'merged')).toBe(1.5);
    expect(storePasses(own(16), 32, 'apart')).toBe(4);
    expect(storePasses(own(32), 32, 'apart')).toBe(6);
  });

  // 16 KiB stored in 128 passes and half as many again, and four times 8 KiB loaded.
  it('takes passes of shared memory', () => {
    expect(slabPasses(NVIDIA, at(32), 'merged')).toBe(192 + 256);
    expect(slabPasses(NVIDIA, at(32), 'apart')).toBe(768 + 256);
  });

  it('lies along the depth, or in lines of each step where memory does', () => {
    expect(stagedPair(at(32), 'INPUT')).toEqual({
      own: { lines: 128, length: 32, stride: 40 },
      other: { lines: 32, length: 128, stride: 136 },
    });
    expect(stagedPair(at(32), 'WEIGHT').own).toEqual({ lines: 32, length: 128, stride: 136 });
  });

  // 4 x 4 sums of 256 f32 over 32 lanes, 4 left matrices and a right one of 128 words; 16 vec4s of f16 in hand.
  it('takes registers', () => {
    expect(registersOf(NVIDIA, at(32))).toBe(128 + 20);
    expect(registersOf(NVIDIA, tileOf(NVIDIA, MATRIX_FORMS.matrices_pipelined, 32))).toBe(128 + 20 + 32);
  });

  // 1024 vec4s of each operand over 128 invocations; two steps of 4 + 4 loads and 4 x 4 products.
  it('takes instructions', () => {
    expect(instructionsOf(NVIDIA, at(32))).toEqual({ loads: 16, stores: 64, matrixLoads: 16, products: 32 });
  });
});

it('FLOPs for each byte grow with the tile', () => {
  const wide = tileOf(NVIDIA, MATRIX_FORMS.matrices_wide, 16);
  const narrow = tileOf(NVIDIA, MATRIX_FORMS.matrices, 16);
  expect(globalIntensity(narrow, 'FORWARD')).toBeCloseTo(32768 / 768);
  expect(globalIntensity(narrow, 'WEIGHT')).toBe(32);
  expect(globalIntensity(wide, 'FORWARD')).toBeCloseTo(65536 / 1280);
  expect(sharedIntensity(NVIDIA, narrow)).toBe(32);
});

// 16 row blocks of 128, of which 48 columns are asked for, or 32 of 64; a gradient of A likewise, turned.
it('a narrow tile makes a narrow result with more workgroups and less waste', () => {
  const [square, narrow] = [MATRIX_FORMS.matrices, MATRIX_FORMS.matrices_narrow].map((form) =>
    tileOf(NVIDIA, form, 16),
  );
  expect(useOf(square, 2048, 48)).toEqual({ workgroups: 16, used: 48 / 128 });
  expect(useOf(narrow, 2048, 48)).toEqual({ workgroups: 32, used: 48 / 64 });
  expect(useOf(narrow, 48, 2048)).toEqual({ workgroups: 32, used: 48 / 64 });
});

it('workgroups that run together share operands by groups', () => {
  expect(blocksTouched(132, 128, 64, 128)).toEqual({ rows: 128, columns: 2 });
  expect(blocksTouched(132, 128, 64, 8)).toEqual({ rows: 8, columns: 17 });
  // A whole group of 8 x 3 and the ragged one of 2 x 3.
  expect(blocksTouched(25, 10, 3, 8)).toEqual({ rows: 9, columns: 3 });
  expect(blocksTouched(30, 10, 3, 8)).toEqual({ rows: 10, columns: 3 });
});
