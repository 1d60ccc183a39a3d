/** The page: `npm run web` on loopback only, `npm run web:build` to web/dist, a folder that any file server can host. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { withoutKernelComments } from './kernel-comments.ts';

const root = fileURLToPath(new URL('.', import.meta.url));

export default defineConfig({
  root,
  base: './',
  server: { host: '127.0.0.1', fs: { allow: [fileURLToPath(new URL('..', import.meta.url))] } },
  // Workers are bundled by themselves, with plugins of their own.
  worker: { format: 'es', plugins: () => [withoutKernelComments()] },
  build: { outDir: 'dist', emptyOutDir: true, target: 'es2022' },
});
