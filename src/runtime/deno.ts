/**
 * Deno: WebGPU is built in (wgpu), files come through its Node-compatible modules.
 *
 * wgpu reads the environment once, when the first adapter is asked for: a later choice of another CPU driver in the same
 * process has no effect, and is refused. Where there is no Vulkan driver, wgpu takes OpenGL, which lacks f16.
 */

import { deviceAt, deviceOfEnvironment, isIndex } from './device-choice.ts';
import type { Note } from './hub/download.ts';
import { withHub } from './hub/files.ts';
import { kernelSources } from './kernel-sources.ts';
import { NoAdapterError } from './no-adapter.ts';
import { nodeFiles } from './node-files.ts';
import { profileVariable } from './profile-variable.ts';
import { ONE_RANK } from './ranks.ts';
import type { DeviceChoice, Runtime } from './runtime.ts';
import { userCache } from './user-cache.ts';
import { cpuDriverFile, selectDriver } from './vulkan-drivers.ts';

/**
 * The runtime of Deno. Opens nothing before it is asked for an adapter.
 * @param note - hears of downloads from the hub
 */
export function denoRuntime(note: Note = () => {}): Runtime {
  return {
    name: 'deno',
    files: withHub(nodeFiles, note),
    requestAdapter,
    deviceNames,
    kernelSources,
    get profile() {
      return profileVariable();
    },
    cacheDirectory: userCache,
    ranks: ONE_RANK,
    residentBytes: () => process.memoryUsage.rss(),
  };
}

async function requestAdapter(choice: DeviceChoice = {}): Promise<GPUAdapter> {
  const asked = choice.device || deviceOfEnvironment(process.env) || 'auto';
  const wanted = (isIndex(asked) ? deviceAt(await deviceNames(), asked) : asked).toLowerCase();
  const driver = cpuDriverFile(wanted);
  const restore = driver === undefined ? () => {} : selectDriver(driver);
  const adapter = await navigator.gpu
    ?.requestAdapter({ powerPreference: 'high-performance' })
    .finally(restore);
  if (adapter == null) {
    throw new NoAdapterError(
      'Deno found no WebGPU adapter. A GPU needs its vendor driver and the Vulkan loader (libvulkan1). Without a GPU, Mesa ' +
        'lavapipe works: "npm run setup" installs it, or prints the one command to run. "npx prefgrad doctor" shows what is here.',
    );
  }
  const { vendor, architecture, device, description } = adapter.info;
  const name = `${vendor} ${architecture} ${device} ${description}`.trim();
  // Both names of Mesa's CPU driver mean the adapter that calls itself llvmpipe.
  const part = wanted === 'lavapipe' ? 'llvmpipe' : wanted;
  if (wanted !== 'auto' && !name.toLowerCase().includes(part)) {
    throw new NoAdapterError(
      `There is no device called ${JSON.stringify(wanted)}; Deno offers ${JSON.stringify(name)}. ` +
        'Deno settles on a driver at the first adapter of a process.',
    );
  }
  return adapter;
}

/** The one that this process has settled on, or would. */
async function deviceNames(): Promise<string[]> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });
  return adapter == null ? [] : [adapter.info.device || adapter.info.description];
}
