/**
 * `npm run build`: the package as others import it.
 *
 *   vite build                  dist/prefgrad.js: for browsers, one file with every kernel and dependency in it
 *   vite build --mode server    lib/: for Node and Deno, module by module, so that it finds kernels/ where src/ does
 */
import { defineConfig } from 'vite';

export default defineConfig(({ mode }) =>
  mode === 'server'
    ? {
        publicDir: false,
        build: {
          outDir: 'lib',
          target: 'node20',
          minify: false,
          ssr: true,
          rolldownOptions: {
            input: ['src/index.ts', 'src/runtime/node.ts', 'src/runtime/deno.ts', 'src/cli/main.ts'],
            output: { preserveModules: true, preserveModulesRoot: 'src', entryFileNames: '[name].js' },
          },
        },
      }
    : {
        publicDir: false,
        build: {
          outDir: 'dist',
          target: 'es2022',
          lib: { entry: 'src/index.ts', formats: ['es'], fileName: 'prefgrad' },
          rolldownOptions: { output: { codeSplitting: false } },
        },
      },
);
