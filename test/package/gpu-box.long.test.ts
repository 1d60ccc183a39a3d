/** The folder for a GPU box is made from a checkout as npm install leaves it, and runs where nothing is installed. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const elsewhere = mkdtempSync(join(tmpdir(), 'prefgrad-gpu-box-'));
afterAll(() => rmSync(elsewhere, { recursive: true, force: true }));

describe.skipIf(process.arch !== 'x64')('npm run bundle', () => {
  it('makes an archive of at most 60 MB, whose commands and benchmarks start without an environment', () => {
    const made = spawnSync('npm', ['run', '--silent', 'bundle'], { cwd: root, encoding: 'utf8' });
    expect(made.status, made.stderr).toBe(0);
    expect(made.stdout).toMatch(/prefgrad-gpu-box\.tar\.gz: [\d.]+ MB\./);
    execFileSync('tar', ['-xzf', join(root, 'build/gpu-box/prefgrad-gpu-box.tar.gz'), '-C', elsewhere]);
    const box = join(elsewhere, 'prefgrad-gpu-box');
    const run = (...args: string[]) => spawnSync('./node', args, { cwd: box, encoding: 'utf8', env: {} });
    expect(run('src/cli/main.js', 'objectives').stdout).toContain('mipo');
    expect(run('bench/run.js', 'kernels', '--help').stdout).toContain('--out <FILE.json>');
    expect(run('bench/gpu-box/compare.js', '--help').stdout).toContain('--out <FILE.json>');
  });
});
