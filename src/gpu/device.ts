/** One opened adapter: its device, memory, kernels and transfers. The layers above see WebGPU through this alone. */
import { RunError } from '../errors.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { KernelChoices } from './choices.ts';
import { openOrKept } from './kept-devices.ts';
import type { KernelLibrary } from './kernels.ts';
import { MemoryPool, type Slice, type Storage } from './memory.ts';
import type { OpenDevice, OpenDeviceOptions, WantedFeature } from './open-device.ts';
import { type DeviceProfile, type ProfileChoice, profileOf } from './profile.ts';

export interface GpuOptions extends OpenDeviceOptions {
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
  readonly deviceName: string;
  /** Driver text as the adapter reports it. */
  readonly driver: string;
  /** What this device is, and which sizes and forms of kernels suit it. */
  readonly profile: DeviceProfile;
  /** Forms of kernels that were measured here, or asked for; what is not in it takes the profile's. */
  readonly choices = new KernelChoices();
  readonly #opened: OpenDevice;
  readonly #isKept: boolean;
  readonly #compiledBefore: KernelLibrary['compiled'];

  private constructor(runtime: Runtime, opened: OpenDevice, isKept: boolean, options: GpuOptions) {
    const { device, kernels, info } = opened;
    this.runtime = runtime;
    this.#opened = opened;
    this.#isKept = isKept;
    this.#compiledBefore = kernels.compiled;
    this.device = device;
    this.memory = new MemoryPool(device);
    this.kernels = kernels;
    this.maxBindingBytes = Math.min(
      device.limits.maxStorageBufferBindingSize,
      options.maxBindingBytes ?? Number.POSITIVE_INFINITY,
    );
    this.deviceName =
      [info.vendor, info.architecture, info.device].filter((s) => s !== '').join(' ') || 'unknown device';
    this.driver = info.description;
    this.profile = profileOf({ info, features: device.features }, options.profile ?? runtime.profile);
  }

  /** Opens the adapter that `options` choose. @throws NoAdapterError (runtime) when the machine has none. */
  static async open(runtime: Runtime, options: GpuOptions = {}): Promise<Gpu> {
    const { opened, isKept } = await openOrKept(runtime, options);
    return new Gpu(runtime, opened, isKept, options);
  }

  /** Pipelines that were compiled since this was opened, and the seconds in which at least one was being compiled. */
  get compiled(): KernelLibrary['compiled'] {
    const { pipelines, seconds } = this.kernels.compiled;
    const before = this.#compiledBefore;
    return { pipelines: pipelines - before.pipelines, seconds: seconds - before.seconds };
  }

  /** Whether this is a software adapter. */
  get isCpu(): boolean {
    return this.profile.kind === 'cpu';
  }

  has(feature: WantedFeature): boolean {
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
      throw this.#opened.failure ?? error;
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
    if (this.#opened.failure !== undefined) throw this.#opened.failure;
  }

  /** Frees all memory, and ends the device unless the runtime keeps it. */
  close(): void {
    if (this.#isKept) this.memory.freeAll();
    else this.device.destroy();
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
