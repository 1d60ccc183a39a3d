/** Deno: WebGPU is built in (wgpu), files come through its Node-compatible modules. */
import { fileURLToPath } from 'node:url';
import { readKernels } from './kernel-folder.ts';
import { NoAdapterError } from './no-adapter.ts';
import { nodeFiles } from './node-files.ts';
import type { Runtime } from './runtime.ts';

export function denoRuntime(): Runtime {
  return {
    name: 'deno',
    files: nodeFiles,
    async requestAdapter() {
      const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });
      if (adapter == null) {
        throw new NoAdapterError(
          'Deno found no WebGPU adapter. Install a GPU driver, or Mesa lavapipe with "npm run setup".',
        );
      }
      return adapter;
    },
    kernelSources: async () => readKernels(fileURLToPath(new URL('../../kernels/', import.meta.url))),
    residentBytes: () => process.memoryUsage.rss(),
  };
}
