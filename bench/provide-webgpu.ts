/** WebGPU where a browser has it, for libraries that look there. Beside bench/peers, whose packages bring another Dawn. */
import { create, globals } from 'webgpu';

export function provideWebGpu(): void {
  Object.assign(globalThis, globals);
  const value = { gpu: create([]), userAgent: 'node', platform: 'node' };
  Object.defineProperty(globalThis, 'navigator', { value, configurable: true });
}
