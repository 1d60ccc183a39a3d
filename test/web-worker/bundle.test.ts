/** What a browser downloads before any model: the worker with every kernel. */
import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import { expect, it } from 'vitest';
import { withoutKernelComments } from '../../web/kernel-comments.ts';

it('the worker is at most 400 kB, gzipped, and has nothing of Node', async () => {
  const result = await build({
    configFile: false,
    logLevel: 'silent',
    publicDir: false,
    plugins: [withoutKernelComments()],
    build: {
      write: false,
      minify: true,
      target: 'es2022',
      lib: { entry: 'web/worker/worker.ts', formats: ['es'] },
    },
  });
  const [output] = Array.isArray(result) ? result : [result];
  if (!('output' in output)) throw new Error('vite is watching');
  const chunks = output.output.map((chunk) => (chunk.type === 'chunk' ? chunk.code : ''));
  const bytes = chunks.reduce((n, code) => n + gzipSync(code).length, 0);
  expect(bytes).toBeGreaterThan(50_000);
  expect(bytes).toBeLessThanOrEqual(400_000);
  expect(chunks.join('\n')).not.toMatch(/from ?["'](node:|webgpu)/);
});
