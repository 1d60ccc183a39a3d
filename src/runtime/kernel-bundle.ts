/// <reference types="vite/types/importMeta.d.ts" />
/** Kernel sources inside a browser bundle. A file of its own, since only a bundler understands the import. */

const modules = import.meta.glob<string>('../../kernels/**/*.wgsl', {
  query: '?raw',
  import: 'default',
  eager: true,
});

/** Every file of kernels/ by its name relative to that folder. */
export const bundledKernels: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(modules).map(([path, source]) => [path.slice('../../kernels/'.length), source]),
);
