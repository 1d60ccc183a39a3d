import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { kernelTable } from '../../scripts/kernel-table.ts';
import { orderedBindings } from '../../src/gpu/launch.ts';

const slice = {
  storage: { label: 'x', byteLength: 4, kind: 'state', buffer: undefined },
  byteOffset: 0,
  byteLength: 4,
} as const;

describe('the table of kernels', () => {
  it('is what everything is launched by', () => {
    const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.ts'));
    const byNumber = files.filter((file) => readFileSync(`src/${file}`, 'utf8').includes('.dispatch('));
    expect(byNumber).toEqual(['gpu/program.ts']);
  });

  it('is what kernels/ says; otherwise run npm run kernels', () => {
    expect(readFileSync('src/gpu/kernel-table.ts', 'utf8')).toBe(kernelTable());
  });

  it('orders bindings by number, with a gap where an optional one is not given', () => {
    const [own, scales, residual] = [1, 2, 3].map((byteOffset) => ({ ...slice, byteOffset }));
    const bindings = { residual, own, other: scales, out: scales, scales: undefined };
    expect(orderedBindings({ kernel: 'linear_forward', bindings })).toEqual([
      own,
      scales,
      scales,
      undefined,
      residual,
    ]);
  });

  it.each([
    ['a condition', { conditions: { COPY_BF61: true } }],
    ['a constant', { constants: { WORKGROUPS: 64 } }],
    ['an override', { overrides: { H5: 1 } }],
    ['a binding', { bindings: { x: slice, copy: slice, z: slice } }],
  ])('refuses %s that the kernel does not have, however it came in', (_name, more) => {
    const launch = { kernel: 'cast' as const, bindings: { x: slice, copy: slice }, ...more };
    expect(() => orderedBindings(launch)).toThrow(/^cast has no \w+\.$/);
  });

  it('is what types are made of: a wrong name does not compile', () => {
    const recorder = { launch: (_: import('../../src/gpu/launch.ts').Launch) => {} };
    const [constants, grid] = [{ WORKGROUP: 64 }, [1, 1]] as const;
    recorder.launch({ kernel: 'cast', constants, bindings: { x: slice, copy: slice }, grid });
    // @ts-expect-error: no such kernel
    recorder.launch({ kernel: 'casts', constants, bindings: { x: slice, copy: slice }, grid });
    const wrong = { kernel: 'cast', constants, bindings: { x: slice, copy: slice }, grid } as const;
    // @ts-expect-error: no such condition
    recorder.launch({ ...wrong, conditions: { BF16: true } });
    // @ts-expect-error: a constant is missing
    recorder.launch({ kernel: 'cast', bindings: { x: slice, copy: slice }, grid });
    // @ts-expect-error: a binding is missing
    recorder.launch({ kernel: 'cast', constants, bindings: { x: slice }, grid });
  });
});
