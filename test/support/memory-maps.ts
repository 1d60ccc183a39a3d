/**
 * Before each test file: ends the devices that files share when the process has used up much of what Linux allows it.
 *
 * A process may map 65,530 regions of memory (vm.max_map_count). lavapipe maps one for every descriptor set, Dawn allocates
 * those by the pool, some seventy for a pipeline, and both keep them until the device ends. Where the limit is reached no
 * thread can be started, and Dawn, which compiles each pipeline in a thread of its own, ends the process without a word.
 */
import { existsSync, readFileSync } from 'node:fs';
import { closeTestGpu } from './gpu.ts';
import { testRuntime } from './runtime.ts';

/** One test file adds at most as many again. */
const MANY = 24_000;
const MAPS = '/proc/self/maps';

if (existsSync(MAPS) && readFileSync(MAPS, 'utf8').split('\n').length > MANY) {
  await closeTestGpu();
  testRuntime().close();
}
