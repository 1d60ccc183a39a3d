/**
 * Keeps a test process below the regions of memory that Linux lets a process map, 65,530 (vm.max_map_count).
 *
 * lavapipe maps one region for every descriptor set and small buffer. Dawn allocates the sets by the pool, some seventy for a
 * pipeline and more where bind groups are alive, which only garbage collection ends, and keeps the pools until the
 * device ends. Where the limit is reached no thread can be started, and Dawn, which compiles each pipeline in a
 * thread of its own, ends the process without a word.
 */
import { existsSync, readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach } from 'vitest';
import { closeTestGpu } from './gpu.ts';
import { testRuntime } from './runtime.ts';

/** One test file adds at most as many again. */
const MANY = 24_000;
const MAPS = '/proc/self/maps';

if (existsSync(MAPS) && readFileSync(MAPS, 'utf8').split('\n').length > MANY) {
  await closeTestGpu();
  testRuntime().close();
}

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

/** Milliseconds; a collection takes a tenth of a second. */
const PERIOD = 8000;
let collected = performance.now();

afterEach(() => {
  if (performance.now() - collected < PERIOD) return;
  collectGarbage();
  collected = performance.now();
});
