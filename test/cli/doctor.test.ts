import { describe, expect, it } from 'vitest';
import { runDoctor } from '../../src/cli/doctor.ts';
import { adviceFor, type Findings } from '../../src/cli/doctor-advice.ts';
import { type DeviceFacts, type DoctorReport, formatReport } from '../../src/cli/doctor-report.ts';
import { InputError } from '../../src/errors.ts';
import { NoAdapterError } from '../../src/runtime/no-adapter.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';

const cpu: DeviceFacts = {
  vendor: 'mesa',
  architecture: 'software',
  device: 'llvmpipe',
  description: 'llvmpipe: Mesa 25',
  backend: 'vulkan',
  type: 'CPU',
  index: 1,
  isChosen: true,
};
const gpu: DeviceFacts = { ...cpu, index: 0, vendor: 'nvidia', architecture: 'hopper', type: 'GPU' };

const report: DoctorReport = {
  version: '0.1.0',
  runtime: 'Node 20.19.0',
  system: 'Linux',
  fetchedDriver: undefined,
  residentBytes: 2 ** 27,
  devices: [gpu, { ...cpu, isChosen: false }],
  features: [
    { name: 'shader-f16', present: true, note: '16-bit arithmetic' },
    { name: 'subgroups', present: false, note: 'without it, sums go through workgroup memory' },
  ],
  limits: [{ name: 'maxBufferSize', value: 2 ** 31, isBytes: true, note: 'largest weight slab' }],
  ranks: { library: 'libmpi.so.40', devices: ['NVIDIA H100', 'NVIDIA H100'], areAlike: true },
  subgroupMatrices: ['f16 -> f32  16 x 16 x 16'],
  measurement: {
    copyGigabytesPerSecond: 3210.4,
    matmulSize: 2048,
    matmulGigaflops: 12.345,
    matmulError: 2e-7,
  },
  advice: ['do this'],
};

const healthy: Findings = {
  platform: 'linux',
  devices: [cpu],
  features: [],
  hasNvidiaDevice: false,
  renderNode: 'none',
  failure: undefined,
  setupCommand: 'node scripts/setup.mjs --install-adapter',
};

describe('the report as text', () => {
  const text = formatReport(report);

  it('names every device and how to choose it', () => {
    expect(text).toContain('0: nvidia hopper (GPU, vulkan), chosen');
    expect(text).toContain('1: mesa software (CPU, vulkan)\n');
    expect(text).toContain('to choose it  --device 1');
  });

  it('aligns columns and shows sizes in units', () => {
    expect(text).toContain('  yes  shader-f16  16-bit arithmetic\n  no   subgroups   without it, sums');
    expect(text).toContain('maxBufferSize  2.00 GiB  largest weight slab');
    expect(text).toContain('3210 GB/s');
    expect(text).toContain('12.3 GFLOP/s');
  });

  it('says what ranks would take, and that cards of one name must be told apart', () => {
    expect(text).toContain(
      'Open MPI  libmpi.so.40\n  rank 0    NVIDIA H100\n  rank 1    NVIDIA H100\n  Some cards',
    );
  });

  it('calls a wrong product wrong', () => {
    const measurement = { copyGigabytesPerSecond: 1, matmulSize: 384, matmulGigaflops: 1, matmulError: 0.5 };
    expect(formatReport({ ...report, measurement })).toContain('WRONG');
  });
});

describe('advice', () => {
  it('is empty on a machine that has what it needs', () => {
    expect(adviceFor(healthy)).toEqual([]);
  });

  it('gives the command where there is no adapter', () => {
    expect(adviceFor({ ...healthy, devices: [] })).toEqual([expect.stringContaining(healthy.setupCommand)]);
  });

  it('knows the container that hides the Vulkan half of an NVIDIA driver', () => {
    expect(adviceFor({ ...healthy, hasNvidiaDevice: true })).toEqual([
      expect.stringContaining('NVIDIA_DRIVER_CAPABILITIES=all'),
    ]);
  });

  it('knows the user who may not open the GPU', () => {
    expect(adviceFor({ ...healthy, renderNode: 'forbidden' })).toEqual([expect.stringContaining('usermod')]);
  });

  it('says what a GPU lacks', () => {
    const features = [{ name: 'shader-f16', present: false, note: '' }];
    expect(adviceFor({ ...healthy, devices: [gpu], features })).toEqual([expect.stringContaining('16-bit')]);
  });
});

describe('runDoctor', () => {
  const without: Runtime = {
    ...nodeRuntime(),
    requestAdapter: () => Promise.reject(new NoAdapterError('none')),
    deviceNames: async () => [],
  };

  it('answers 2 without an adapter, and says how to get one', async () => {
    let text = '';
    expect(await runDoctor(without, (part) => (text += part))).toBe(2);
    expect(text).toContain('scripts/setup.mjs --install-adapter');
  });

  it.each([
    [{ backend: 'nope' }, 'There is no backend "nope"; Dawn has vulkan, metal'],
    [
      { backend: 'null', device: 'nope' },
      'There is no device called "nope"; this machine has "Null backend"',
    ],
  ])('refuses %j, and names what there is', async (choice, says) => {
    const runtime = { ...nodeRuntime(), deviceNames: async () => ['Null backend'] };
    const refused = runDoctor(runtime, () => {}, choice);
    await expect(refused).rejects.toThrow(InputError);
    await expect(refused).rejects.toThrow(says);
  });

  it('checks kernels on the null backend, and reports that it computes nothing', async () => {
    let text = '';
    const code = await runDoctor(nodeRuntime(), (part) => (text += part), { backend: 'null', json: true });
    expect(code).toBe(1);
    const { devices, measurement, advice } = JSON.parse(text) as DoctorReport;
    expect(devices).toHaveLength(1);
    expect(measurement).toBeUndefined();
    expect(advice).toEqual([expect.stringContaining('computes nothing')]);
  });

  it('measures the adapter of this machine', async () => {
    let text = '';
    const code = await runDoctor(nodeRuntime(), (part) => (text += part), { json: true });
    const { devices, measurement } = JSON.parse(text) as DoctorReport;
    if (devices.length === 0) return expect(code).toBe(2);
    expect(code).toBe(0);
    expect(measurement?.matmulError).toBeLessThan(1e-5);
    expect(measurement?.copyGigabytesPerSecond).toBeGreaterThan(0);
  });
});
