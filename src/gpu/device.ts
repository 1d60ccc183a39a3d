/** One opened adapter: its device, memory, kernels and transfers. The rooms above see WebGPU through this alone. */
import { RunError } from '../errors.ts';
import type { DeviceChoice, Runtime } from '../runtime/runtime.ts';
import { KernelChoices } from './choices.ts';
import { KernelLibrary } from './kernels.ts';
import { MemoryPool, type Slice, type Storage } from './memory.ts';
import { type DeviceProfile, type ProfileChoice, profileOf } from './profile.ts';

/** Features that change which kernels may run; asked for wherever the adapter has them. */
const WANTED_FEATURES = [
  'shader-f16',
  'subgroups',
  'subgroup-size-control',
  'timestamp-query',
  'chromium-experimental-subgroup-matrix',
] as const;

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

export interface GpuOptions extends DeviceChoice {
  /** Ask for WebGPU's default limits only, as a browser without flags gives them. For tests. */
  defaultLimits?: boolean;
  /** Pretend that one binding holds at most this many bytes, so that sharding can be tested on small tensors. */
  maxBindingBytes?: number;
  /** Whose forms of kernels to use. Default: as the runtime says. */
  profile?: ProfileChoice;
}

export class Gpu {
  readonly runtime: Runtime;
  /** @internal */
  readonly device: GPUDevice;
  readonly memory: MemoryPool;
  /** @internal */
  readonly kernels: KernelLibrary;
  /** Largest slice that one kernel binding may cover. */
  readonly maxBindingBytes: number;
  /** 'vendor architecture description', as shown to users and written into bench results. */
  readonly adapterName: string;
  /** Driver text as the adapter reports it. */
  readonly driver: string;
  /** What this device is, and which sizes and forms of kernels suit it. */
  readonly profile: DeviceProfile;
  /** Forms of kernels that were measured here, or asked for; what is not in it takes the profile's. */
  readonly choices = new KernelChoices();
  #failure: Error | undefined;

  private constructor(
    runtime: Runtime,
    adapter: GPUAdapter,
    device: GPUDevice,
    sources: Record<string, string>,
    options: GpuOptions,
  ) {
    this.runtime = runtime;
    this.device = device;
    this.memory = new MemoryPool(device);
    this.kernels = new KernelLibrary(device, sources);
    this.maxBindingBytes = Math.min(
      device.limits.maxStorageBufferBindingSize,
      options.maxBindingBytes ?? Number.POSITIVE_INFINITY,
    );
    const info = adapter.info;
    this.adapterName =
      [info.vendor, info.architecture, info.device].filter((s) => s !== '').join(' ') || 'unknown adapter';
    this.driver = info.description;
    this.profile = profileOf({ info, features: device.features }, options.profile ?? runtime.profile);
    device.addEventListener('uncapturederror', (event) => {
      this.#failure ??= describeGpuError(event.error);
    });
    void device.lost.then((lost) => {
      if (lost.reason !== 'destroyed') this.#failure ??= new DeviceLostError(lost.message);
    });
  }

  /** Opens the adapter that `options` choose. @throws NoAdapterError (runtime) when the machine has none. */
  static async open(runtime: Runtime, options: GpuOptions = {}): Promise<Gpu> {
    const adapter = await runtime.requestAdapter(options);
    const requiredLimits: Record<string, number> = {};
    if (!options.defaultLimits) for (const name of WANTED_LIMITS) requiredLimits[name] = adapter.limits[name];
    const requiredFeatures = WANTED_FEATURES.filter((f) => adapter.features.has(f)) as GPUFeatureName[];
    const device = await adapter.requestDevice({ requiredFeatures, requiredLimits });
    return new Gpu(runtime, adapter, device, await runtime.kernelSources(), options);
  }

  /** Whether this is a software adapter. */
  get isCpu(): boolean {
    return this.profile.kind === 'cpu';
  }

  has(feature: (typeof WANTED_FEATURES)[number]): boolean {
    return this.device.features.has(feature);
  }

  /** Queues a copy of host data to the start of `slice` (or `byteOffset` into it). */
  write(slice: Slice, data: ArrayBufferView<ArrayBuffer>, byteOffset = 0): void {
    const { host } = slice.storage;
    if (host !== undefined) {
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      host.set(bytes, slice.byteOffset + byteOffset);
      return;
    }
    this.device.queue.writeBuffer(
      bufferOf(slice.storage),
      slice.byteOffset + byteOffset,
      data.buffer,
      data.byteOffset,
      data.byteLength,
    );
  }

  /** Reads bytes back. Waits for everything queued before; not for use inside a training step. */
  async read(slice: Slice, byteOffset = 0, byteLength = slice.byteLength - byteOffset): Promise<ArrayBuffer> {
    const { host } = slice.storage;
    const start = slice.byteOffset + byteOffset;
    if (host !== undefined) return host.buffer.slice(start, start + byteLength);
    const size = Math.ceil(byteLength / 4) * 4;
    const staging = this.device.createBuffer({
      size,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    const encoder = this.device.createCommandEncoder();
    encoder.copyBufferToBuffer(bufferOf(slice.storage), start, staging, 0, size);
    this.device.queue.submit([encoder.finish()]);
    try {
      await staging.mapAsync(GPUMapMode.READ);
      return staging.getMappedRange().slice(0, byteLength);
    } catch (error) {
      throw this.#failure ?? error;
    } finally {
      staging.destroy();
    }
  }

  /** Waits for all queued work and reports what went wrong meanwhile. @throws RunError */
  async settle(): Promise<void> {
    await this.device.queue.onSubmittedWorkDone();
    this.throwIfFailed();
  }

  /** @throws RunError when the device has reported an error since it was opened. */
  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Ends the device; all its buffers go with it. */
  close(): void {
    this.device.destroy();
  }
}

/** The driver took the device away: the run can be resumed from its last checkpoint. */
export class DeviceLostError extends RunError {
  constructor(message: string) {
    super(`The GPU device was lost: ${message || 'no reason given'}`);
  }
}

/**
 * The buffer behind a storage. @throws RunError for one that was freed, has no place yet, or is in host memory.
 * @internal
 */
export function bufferOf(storage: Storage): GPUBuffer {
  if (storage.buffer === undefined)
    throw new RunError(
      `${storage.label} has no memory: it was freed, is kept on the host, or is used outside its program.`,
    );
  return storage.buffer;
}

function describeGpuError(error: GPUError): Error {
  if (error instanceof GPUOutOfMemoryError) {
    return new RunError(
      `Out of GPU memory: ${error.message} Lower training.max_tokens_per_micro_batch, turn on training.gradient_checkpointing or training.offload_optimizer, or use LoRA.`,
    );
  }
  return new RunError(`WebGPU: ${error.message}`);
}
