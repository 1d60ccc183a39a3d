/** One device and one compilation for all that a test file trains, scores and generates. */
import { type KeepingRuntime, keepDevices } from '../../src/gpu/kept-devices.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';

let shared: KeepingRuntime | undefined;

/** Node, whose devices stay open until the process ends. */
export function testRuntime(): KeepingRuntime {
  shared ??= keepDevices(nodeRuntime());
  return shared;
}
