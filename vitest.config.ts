import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take long begin first: the one that is last would leave a core idle. */
const LONGEST = [
  'ranks/steps.long',
  'train/kill.long',
  'test/conformance/',
  'test/web/',
  'test/ops/attention',
  'test/models/families',
  'test/train/',
  'test/package/',
  'test/ranks/',
  'test/ops/',
];

class LongestFirst extends BaseSequencer {
  async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const at = LONGEST.findIndex((part) => moduleId.includes(part));
      return at < 0 ? LONGEST.length : at;
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}

// Files share the worker processes, and with them modules, the open device and its compiled pipelines. There are three on two
// cores, since one often waits for a page, another process or a time limit.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/**/*.long.test.ts', 'node_modules/**'],
    pool: 'forks',
    isolate: false,
    globalSetup: ['test/support/build.ts'],
    setupFiles: ['test/support/memory-maps.ts'],
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
