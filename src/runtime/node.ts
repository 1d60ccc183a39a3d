/** Node: WebGPU from npm `webgpu` (Dawn), files and kernels from disk. */
import * as fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { create, globals } from 'webgpu';
import { readKernels } from './kernel-folder.ts';
import { NoAdapterError } from './no-adapter.ts';
import { nodeFiles } from './node-files.ts';
import type { AdapterChoice, Runtime } from './runtime.ts';

/** Where Debian's and Ubuntu's chromium packages keep SwiftShader, a second CPU adapter. */
const SWIFTSHADER_ICD = '/usr/lib/chromium/vk_swiftshader_icd.json';
const LAVAPIPE_ICD = '/usr/share/vulkan/icd.d/lvp_icd.json';

/**
 * Dawn's toggles: f16 on NVIDIA is off by default; our kernels stay inside their bindings, so clamping every access and
 * clearing workgroup memory is work for nothing; timestamps are for benchmarks.
 */
const TOGGLES = [
  'enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia,disable_robustness,disable_workgroup_init',
  'disable-dawn-features=timestamp_quantization',
];

/** Dawn frees itself with this object, so it lives as long as the process. */
const instances: GPU[] = [];

export function nodeRuntime(): Runtime {
  return {
    name: 'node',
    files: nodeFiles,
    requestAdapter,
    kernelSources: async () => readKernels(fileURLToPath(new URL('../../kernels/', import.meta.url))),
    residentBytes: () => process.memoryUsage.rss(),
  };
}

async function requestAdapter(choice: AdapterChoice = {}): Promise<GPUAdapter> {
  const wanted = (choice.adapter ?? process.env.PREFGRAD_ADAPTER ?? 'auto').toLowerCase();
  selectDriver(wanted);
  Object.assign(globalThis, globals);
  const gpu = create([`backend=${choice.backend ?? defaultBackend()}`, ...TOGGLES]);
  instances.push(gpu);
  const adapter =
    (await gpu.requestAdapter({ powerPreference: 'high-performance' })) ??
    (await gpu.requestAdapter({ forceFallbackAdapter: true }));
  if (adapter === null) throw new NoAdapterError(missingAdapterText());
  const name =
    `${adapter.info.vendor} ${adapter.info.architecture} ${adapter.info.device} ${adapter.info.description}`.toLowerCase();
  if (wanted !== 'auto' && wanted !== 'lavapipe' && !name.includes(wanted)) {
    throw new NoAdapterError(
      `The adapter ${JSON.stringify(wanted)} is not here; this machine has: ${name.trim()}.`,
    );
  }
  return adapter;
}

/** CPU drivers are chosen by telling the Vulkan loader which one to load. */
function selectDriver(wanted: string): void {
  const icd =
    wanted === 'swiftshader'
      ? SWIFTSHADER_ICD
      : wanted === 'lavapipe' || wanted === 'llvmpipe'
        ? LAVAPIPE_ICD
        : undefined;
  if (icd === undefined) return;
  if (!fs.existsSync(icd))
    throw new NoAdapterError(`${icd} is not on this machine; install it with: node scripts/setup.mjs`);
  process.env.VK_ICD_FILENAMES = icd;
  process.env.VK_DRIVER_FILES = icd;
}

function defaultBackend(): string {
  return process.platform === 'darwin' ? 'metal' : process.platform === 'win32' ? 'd3d12' : 'vulkan';
}

function missingAdapterText(): string {
  return (
    'There is no WebGPU adapter on this machine. A GPU needs its vendor driver and the Vulkan loader (libvulkan1). ' +
    'Without a GPU, Mesa lavapipe 24 or later works: run "npm run setup", which installs it or prints the one command to run. ' +
    '"npx prefgrad doctor" shows what is here.'
  );
}
