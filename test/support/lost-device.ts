/** Devices that a test takes away, as a driver does. */
import type { Runtime } from '../../src/runtime/runtime.ts';

/**
 * A runtime that loses the first device that is opened with it.
 * @param isTime - asked before every submit, when no buffer is in anybody's hands; true takes the device away
 */
export function losing(runtime: Runtime, isTime: () => boolean): Runtime {
  return withFirstDevice(runtime, (device) => {
    const announce = replaceLost(device);
    const { queue } = device;
    const submit = queue.submit.bind(queue);
    queue.submit = (commands) => {
      if (isTime()) {
        device.destroy();
        announce();
      }
      submit(commands);
    };
  });
}

/** A runtime whose first device says that it is lost when `lose` is called. */
export function losable(runtime: Runtime): { runtime: Runtime; lose: () => void } {
  let announce = (): void => {};
  const changed = withFirstDevice(runtime, (device) => {
    announce = replaceLost(device);
  });
  return { runtime: changed, lose: () => announce() };
}

/** Dawn says of a device that it was destroyed by its owner. @returns says instead that the driver took it away */
function replaceLost(device: GPUDevice): () => void {
  let announce = (_: GPUDeviceLostInfo): void => {};
  const lost = new Promise<GPUDeviceLostInfo>((resolve) => {
    announce = resolve;
  });
  Object.defineProperty(device, 'lost', { value: lost });
  return () => announce({ reason: 'unknown', message: 'the test took it away' } as GPUDeviceLostInfo);
}

/** The same runtime, with `change` made to the first device that is opened with it. */
function withFirstDevice(runtime: Runtime, change: (device: GPUDevice) => void): Runtime {
  let opened = 0;
  const requestAdapter: Runtime['requestAdapter'] = async (choice) => {
    const adapter = await runtime.requestAdapter(choice);
    const requestDevice = async (descriptor?: GPUDeviceDescriptor) => {
      const device = await adapter.requestDevice(descriptor);
      if (++opened === 1) change(device);
      return device;
    };
    return new Proxy(adapter, {
      get: (target, key) => {
        if (key === 'requestDevice') return requestDevice;
        const value = Reflect.get(target, key, target) as unknown;
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  };
  return { ...runtime, requestAdapter };
}
