/**
 * `npm run build`: dist/, the one build that is published. Node, Deno and browsers load the same modules.
 *
 *   index.js              what `import ... from 'prefgrad'` gives
 *   cli.js                the command line, started by bin/prefgrad.js
 *   node.js, deno.js      loaded by detectRuntime where they belong
 *   THIRD_PARTY.md        licences of what is bundled
 *
 * What a page needs is bundled, so that it loads from a plain web server; what only Node and Deno load stays an import of
 * a package, as npm has it.
 */
import { defineConfig } from 'vite';

/** Packages that the engine needs in a page. */
const BUNDLED =
  /^(@huggingface\/(jinja|tokenizers)|fastest-levenshtein|fzstd|hyparquet|hyparquet-compressors|wesl|yaml|zod)(\/|$)/;

/** Is `id` a package that stays an import? Paths and what bundled packages import are not. */
const isExternal = (id: string, importer: string | undefined): boolean => {
  if (/^(\.|\/|\0|virtual:|vite\/)/.test(id)) return false;
  if (id.startsWith('node:')) return true;
  return !BUNDLED.test(id) && !importer?.includes('/node_modules/');
};

export default defineConfig({
  publicDir: false,
  build: {
    outDir: 'dist',
    // Programs that run from an earlier build load parts of it late: scripts/build.mjs --clean removes those.
    emptyOutDir: false,
    target: 'es2022',
    minify: false,
    license: { fileName: 'THIRD_PARTY.md' },
    lib: {
      entry: {
        index: 'src/index.ts',
        cli: 'src/cli/main.ts',
        node: 'src/runtime/node.ts',
        deno: 'src/runtime/deno.ts',
      },
      formats: ['es'],
    },
    rolldownOptions: {
      external: isExternal,
      output: { entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js' },
    },
  },
});
