/** Deleting any barrier of a kernel changes numbers, or docs/barriers.md says why no CPU adapter can show it. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { matricesNode } from '../../scripts/own-loader.mjs';
import { MATRIX_VARIANTS } from '../../src/gpu/choices.ts';
import { hasAdapter } from '../support/adapters.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

function mutants(node: string, env: Readonly<Record<string, string>>) {
  const args = ['--import', 'tsx', 'scripts/barrier-mutants.ts'];
  return spawnSync(node, args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    timeout: 900_000,
  });
}

it.skipIf(!hasAdapter('lavapipe'))(
  'of kernels for every GPU, on subgroups of four',
  () => {
    const run = mutants(process.execPath, { PREFGRAD_DEVICE: 'lavapipe', LP_NATIVE_VECTOR_WIDTH: '128' });
    expect(run.status, `${run.stdout}\n${run.stderr}`).toBe(0);
    expect(run.stdout).toContain('linear/linear_tiled.wgsl');
  },
  900_000,
);

it.skipIf(!hasAdapter('lavapipe-matrices'))(
  'of kernels on subgroup matrices',
  () => {
    const run = mutants(matricesNode() ?? process.execPath, { PREFGRAD_DEVICE: 'lavapipe-matrices' });
    expect(run.status, `${run.stdout}\n${run.stderr}`).toBe(0);
    // One barrier for every form of a product: each of them needs it.
    const forms = MATRIX_VARIANTS.map((variant) => `a product by ${variant}`).join(', ');
    expect(run.stdout).toMatch(new RegExp(`linear/linear_matrices\\.raw\\.wgsl:\\d+: ${forms} `));
  },
  900_000,
);
