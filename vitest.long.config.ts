import { defineConfig } from 'vitest/config';
import base from './vitest.config.ts';

// npm run test:all: the long tests too, which train on real data or kill runs many times over.
export default defineConfig({
  test: {
    ...base.test,
    exclude: ['node_modules/**'],
    // They keep two cores busy by themselves.
    maxWorkers: 2,
    testTimeout: 1_200_000,
    hookTimeout: 1_200_000,
  },
});
