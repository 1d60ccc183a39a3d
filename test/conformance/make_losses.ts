/** Makes test/fixtures/quickstart-losses.json on Node with lavapipe: PREFGRAD_DEVICE=lavapipe npx tsx test/conformance/make_losses.ts */
import { writeFileSync } from 'node:fs';
import { Gpu } from '../../src/gpu/device.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { LOSSES, quickstartLosses } from './training.ts';

const runtime = nodeRuntime();
const gpu = await Gpu.open(runtime);
const losses = await quickstartLosses({ gpu, runtime, steps: 20 });
writeFileSync(
  LOSSES,
  `${JSON.stringify({ adapter: gpu.deviceName, driver: gpu.driver, losses }, null, 2)}\n`,
);
gpu.close();
