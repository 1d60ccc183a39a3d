/** A device that a test takes away, as a driver does. */
import type { Runtime } from '../../src/runtime/runtime.ts';

/**
 * A runtime that loses the first device that is opened with it.
 * @param isTime - asked before every submit, when no buffer is in anybody's hands; true takes the device away
 */
export function losing(runtime: Runtime, isTime: () => boolean): Runtime {
  let opened = 0;
  const requestAdapter: Runtime['requestAdapter'] = async (choice) => {
    const adapter = await runtime.requestAdapter(choice);
    const requestDevice = async (descriptor?: GPUDeviceDescriptor) => {
      const device = await adapter.requestDevice(descriptor);
      if (++opened === 1) loseWhen(device, isTime);
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

function loseWhen(device: GPUDevice, isTime: () => boolean): void {
  const { queue } = device;
  const submit = queue.submit.bind(queue);
  const lost = new Promise<GPUDeviceLostInfo>((resolve) => {
    queue.submit = (commands) => {
      if (isTime()) {
        device.destroy();
        resolve({ reason: 'unknown', message: 'the test took it away' } as GPUDeviceLostInfo);
      }
      submit(commands);
    };
  });
  // Dawn says of a device that it was destroyed by its owner.
  Object.defineProperty(device, 'lost', { value: lost });
}
