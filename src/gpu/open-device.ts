/** A WebGPU device with the kernels compiled for it. */
import { RunError } from '../errors.ts';
import type { DeviceChoice, Runtime } from '../runtime/runtime.ts';
import { KernelLibrary } from './kernels.ts';

/** Features that change which kernels may run; asked for wherever the adapter has them. */
const WANTED_FEATURES = [
  'shader-f16',
  'subgroups',
  'subgroup-size-control',
  'timestamp-query',
  'chromium-experimental-subgroup-matrix',
] as const;
export type WantedFeature = (typeof WANTED_FEATURES)[number];

/** Limits of which we take all that the adapter offers: WebGPU grants only the defaults unless asked. */
const WANTED_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
] as const;

export interface OpenDevice {
  /** @internal */
  readonly info: GPUAdapterInfo;
  /** @internal */
  readonly device: GPUDevice;
  /** @internal */
  readonly kernels: KernelLibrary;
  /** The first error that the device has reported since it was opened. */
  readonly failure: Error | undefined;
}

export interface OpenDeviceOptions extends DeviceChoice {
  /** Ask for WebGPU's default limits only, as a browser without flags gives them. For tests. */
  defaultLimits?: boolean;
}

/** @throws NoAdapterError (runtime) when the machine has none of what `options` choose */
export async function openDevice(runtime: Runtime, options: OpenDeviceOptions): Promise<OpenDevice> {
  const adapter = await runtime.requestAdapter(options);
  const requiredLimits: Record<string, number> = {};
  if (!options.defaultLimits) for (const name of WANTED_LIMITS) requiredLimits[name] = adapter.limits[name];
  const requiredFeatures = WANTED_FEATURES.filter((f) => adapter.features.has(f)) as GPUFeatureName[];
  const device = await adapter.requestDevice({ requiredFeatures, requiredLimits });
  let failure: Error | undefined;
  device.addEventListener('uncapturederror', (event) => {
    failure ??= describeGpuError(event.error);
  });
  void device.lost.then((lost) => {
    if (lost.reason !== 'destroyed') failure ??= new DeviceLostError(lost.message);
  });
  return {
    info: adapter.info,
    device,
    kernels: new KernelLibrary(device, await runtime.kernelSources()),
    get failure() {
      return failure;
    },
  };
}

/** The driver took the device away: the run can be resumed from its last checkpoint. */
export class DeviceLostError extends RunError {
  constructor(message: string) {
    super(`The GPU device was lost: ${message || 'no reason given'}`);
  }
}

function describeGpuError(error: GPUError): Error {
  if (error instanceof GPUOutOfMemoryError) {
    return new RunError(
      `Out of GPU memory: ${error.message} Lower training.max_tokens_per_micro_batch, turn on training.gradient_checkpointing or training.offload_optimizer, or use LoRA.`,
    );
  }
  return new RunError(`WebGPU: ${error.message}`);
}
