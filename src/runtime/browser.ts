/** Browsers: `navigator.gpu`, files in memory or behind URLs, kernels from the bundle. Works in a worker too. */

import { deviceAt, isIndex } from './device-choice.ts';
import { MemoryFiles } from './memory-files.ts';
import { NoAdapterError } from './no-adapter.ts';
import { ONE_RANK } from './ranks.ts';
import type { DeviceChoice, Runtime } from './runtime.ts';

/** A browser's runtime; its files are a tree in memory that starts empty and takes blobs and URLs. */
export interface BrowserRuntime extends Runtime {
  readonly name: 'browser';
  readonly files: MemoryFiles;
}

/** @param files - a tree to share with another part of the page; a new one by default */
export function browserRuntime(files = new MemoryFiles()): BrowserRuntime {
  return {
    name: 'browser',
    files,
    requestAdapter,
    deviceNames: async () => [nameOf(await requestAdapter())],
    kernelSources: async () => ({ ...(await import('./kernel-bundle.ts')).bundledKernels }),
    cacheDirectory: () => undefined,
    ranks: ONE_RANK,
    residentBytes: () => undefined,
  };
}

async function requestAdapter(choice: DeviceChoice = {}): Promise<GPUAdapter> {
  const gpu = globalThis.navigator?.gpu;
  if (gpu === undefined) {
    throw new NoAdapterError(
      'This browser offers no WebGPU here. It needs a current Chrome, Edge, Safari or Firefox, and a page from https or localhost. ' +
        'On Linux, Chrome may need chrome://flags/#enable-unsafe-webgpu.',
    );
  }
  const adapter =
    (await gpu.requestAdapter({ powerPreference: 'high-performance' })) ??
    (await gpu.requestAdapter({ forceFallbackAdapter: true }));
  if (adapter === null) {
    throw new NoAdapterError(
      'This browser has WebGPU, but no adapter for it: look into chrome://gpu for the reason, and update the GPU driver.',
    );
  }
  const asked = choice.device || 'auto';
  const name = nameOf(adapter);
  const wanted = (isIndex(asked) ? deviceAt([name], asked) : asked).toLowerCase();
  if (wanted !== 'auto' && !name.toLowerCase().includes(wanted)) {
    throw new NoAdapterError(
      `There is no device called ${JSON.stringify(wanted)}; this browser offers ${JSON.stringify(name)}.`,
    );
  }
  return adapter;
}

function nameOf({ info: { vendor, architecture, device, description } }: GPUAdapter): string {
  return `${vendor} ${architecture} ${device} ${description}`.trim();
}
