/** `prefgrad doctor`: what this machine offers, what is missing, and how to get it. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Gpu } from '../gpu/device.ts';
import { NoAdapterError } from '../runtime/no-adapter.ts';
import { mpiLibrary } from '../runtime/open-mpi.ts';
import type { DeviceChoice, Runtime } from '../runtime/runtime.ts';
import { isSoftware, isSoftwareName } from '../runtime/software-adapter.ts';
import { fetchedDriverFile } from '../runtime/vulkan-drivers.ts';
import { VERSION } from '../version.ts';
import { adviceFor } from './doctor-advice.ts';
import { type Measurement, measure } from './doctor-measure.ts';
import {
  type DeviceFacts,
  type DoctorReport,
  type FeatureFacts,
  formatReport,
  type LimitFacts,
  MATMUL_TOLERANCE,
  type RankFacts,
} from './doctor-report.ts';

export interface DoctorOptions extends DeviceChoice {
  /** Print the report as one JSON object. */
  json?: boolean;
}

const FEATURES: readonly [name: string, use: string, without: string][] = [
  ['shader-f16', '16-bit arithmetic', '16-bit weights are widened to f32 in the kernels'],
  ['subgroups', 'sums within a subgroup', 'sums go through workgroup memory'],
  ['subgroup-size-control', 'kernels tuned to one subgroup size', 'kernels fit any subgroup size'],
  ['timestamp-query', 'exact kernel times in npm run bench', 'bench takes times on the host'],
  ['chromium-experimental-subgroup-matrix', 'tensor cores', 'matrix products run on the ordinary units'],
];

const LIMITS: readonly [name: keyof GPUSupportedLimits & string, isBytes: boolean, note: string][] = [
  ['maxBufferSize', true, 'largest weight slab'],
  ['maxStorageBufferBindingSize', true, 'larger tensors are cut into shards'],
  ['maxStorageBuffersPerShaderStage', false, 'tensors in one kernel'],
  ['maxComputeWorkgroupStorageSize', true, 'tile memory of a workgroup'],
  ['maxComputeInvocationsPerWorkgroup', false, 'threads of a workgroup'],
  ['maxComputeWorkgroupsPerDimension', false, 'larger grids are folded into two dimensions'],
];

/**
 * Writes the report on the machine and on the adapter that `options` choose.
 * @returns the exit code: 0 when training can run here, 2 when there is no adapter, 1 when the adapter does not work
 */
export async function runDoctor(
  runtime: Runtime,
  write: (text: string) => void,
  options: DoctorOptions = {},
): Promise<number> {
  const { report, works } = await examine(runtime, options);
  write(options.json ? `${JSON.stringify(report, null, 2)}\n` : formatReport(report));
  return report.devices.length === 0 ? 2 : works ? 0 : 1;
}

async function examine(
  runtime: Runtime,
  options: DoctorOptions,
): Promise<{ report: DoctorReport; works: boolean }> {
  const choice: DeviceChoice = { device: options.device, backend: options.backend };
  const chosen = await chosenAdapter(runtime, choice);
  // Asking for a CPU driver by name changes which driver the loader takes from then on, so measuring comes first.
  const trial = chosen === null ? undefined : await tryOut(runtime, choice);
  const devices = await listDevices(runtime, chosen, options);
  const features = chosen === null ? [] : featuresOf(chosen, runtime);
  const report: DoctorReport = {
    version: VERSION,
    runtime: runtimeVersion(),
    system: `${os.type()} ${os.release()} ${os.arch()}, ${os.cpus().length} x ${os.cpus()[0]?.model.trim() ?? 'CPU'}`,
    residentBytes: runtime.residentBytes(),
    fetchedDriver: fetchedDriverFile(),
    devices,
    features,
    limits: chosen === null ? [] : limitsOf(chosen),
    subgroupMatrices: chosen === null ? [] : subgroupMatricesOf(chosen),
    measurement: trial?.measurement,
    ranks: await rankFacts(chosen === null ? [] : await runtime.deviceNames()),
    advice: adviceFor({
      platform: os.platform(),
      devices,
      features,
      hasNvidiaDevice: fs.existsSync('/dev/nvidiactl'),
      renderNode: renderNode(),
      failure: trial?.failure,
      setupCommand: setupCommand(),
    }),
  };
  return { report, works: trial !== undefined && trial.failure === undefined };
}

/** What ranks that see these devices would take. */
async function rankFacts(names: readonly string[]): Promise<RankFacts> {
  const gpus = names.filter((name) => !isSoftwareName(name));
  return {
    library: await mpiLibrary(process.env),
    devices: gpus.length > 0 ? gpus : names.slice(0, 1),
    areAlike: new Set(gpus).size < gpus.length,
  };
}

/** Null where the machine has no adapter at all. @throws NoAdapterError where it has others than the one asked for */
async function chosenAdapter(runtime: Runtime, choice: DeviceChoice): Promise<GPUAdapter | null> {
  try {
    return await runtime.requestAdapter(choice);
  } catch (error) {
    if (!(error instanceof NoAdapterError) || (await runtime.deviceNames()).length > 0) throw error;
    return null;
  }
}

async function adapterOrNull(runtime: Runtime, choice: DeviceChoice): Promise<GPUAdapter | null> {
  try {
    return await runtime.requestAdapter(choice);
  } catch (error) {
    if (error instanceof NoAdapterError) return null;
    throw error;
  }
}

/** Opens the device and computes something; a broken driver is a finding, not a crash. */
async function tryOut(
  runtime: Runtime,
  choice: DeviceChoice,
): Promise<{ measurement?: Measurement; failure?: string }> {
  if (choice.backend === 'null') return { failure: 'the null backend checks kernels, but computes nothing.' };
  try {
    const gpu = await Gpu.open(runtime, choice);
    const measurement = await measure(gpu).finally(() => gpu.close());
    if (measurement.matmulError <= MATMUL_TOLERANCE) return { measurement };
    return { measurement, failure: 'a matrix product came out wrong. Update its driver.' };
  } catch (error) {
    return { failure: error instanceof Error ? error.message : String(error) };
  }
}

/** Every device that can be asked for, in the order of its numbers. */
async function listDevices(
  runtime: Runtime,
  chosen: GPUAdapter | null,
  { backend }: DoctorOptions,
): Promise<DeviceFacts[]> {
  if (chosen === null) return [];
  const factsOfChosen = factsOf(chosen, runtime, backend, 0);
  // With a backend of its own the chosen one is the only one that is sure to be there.
  if (backend !== undefined) return [{ ...factsOfChosen, isChosen: true }];
  const list: DeviceFacts[] = [];
  for (const [index, device] of (await runtime.deviceNames()).entries()) {
    const adapter = await adapterOrNull(runtime, { device });
    if (adapter !== null) list.push(factsOf(adapter, runtime, backend, index));
  }
  const at = list.findIndex((facts) => identity(facts) === identity(factsOfChosen));
  return list.map((facts, i) => ({ ...facts, isChosen: i === at }));
}

function identity({ vendor, architecture, device, description }: DeviceFacts): string {
  return `${vendor} ${architecture} ${device} ${description}`;
}

function factsOf(
  adapter: GPUAdapter,
  runtime: Runtime,
  backend: string | undefined,
  index: number,
): DeviceFacts {
  const { vendor, architecture, device, description } = adapter.info;
  return {
    index,
    isChosen: false,
    vendor,
    architecture,
    device,
    description,
    backend: runtime.name === 'node' ? (backend ?? platformBackend()) : `chosen by ${runtime.name}`,
    type: isSoftware(adapter.info) || adapter.info.isFallbackAdapter ? 'CPU' : 'GPU',
  };
}

function platformBackend(): string {
  return { darwin: 'metal', win32: 'd3d12' }[os.platform() as string] ?? 'vulkan';
}

function featuresOf(adapter: GPUAdapter, runtime: Runtime): FeatureFacts[] {
  return FEATURES.map(([name, use, without]) => {
    const present = adapter.features.has(name);
    return {
      name,
      present,
      note: present ? `${use}${toggleNote(name, adapter, runtime)}` : `without it, ${without}`,
    };
  });
}

/** Dawn hides f16 on NVIDIA's Vulkan driver; our runtime for Node asks for it all the same. */
function toggleNote(feature: string, adapter: GPUAdapter, runtime: Runtime): string {
  const hidden =
    feature === 'shader-f16' && /nvidia/i.test(adapter.info.vendor) && platformBackend() === 'vulkan';
  return hidden && runtime.name === 'node' ? ' (through the toggle vulkan_enable_f16_on_nvidia)' : '';
}

function limitsOf(adapter: GPUAdapter): LimitFacts[] {
  return LIMITS.map(([name, isBytes, note]) => ({
    name,
    value: Number(adapter.limits[name]),
    isBytes,
    note,
  }));
}

/** Dawn's extension of GPUAdapterInfo, there only with the feature. */
interface SubgroupMatrixConfig {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

function subgroupMatricesOf(adapter: GPUAdapter): string[] {
  const info = adapter.info as GPUAdapterInfo & { subgroupMatrixConfigs?: Iterable<SubgroupMatrixConfig> };
  return [...(info.subgroupMatrixConfigs ?? [])].map(
    (c) => `${c.componentType} -> ${c.resultComponentType}  ${c.M} x ${c.N} x ${c.K}`,
  );
}

function renderNode(): 'none' | 'forbidden' | 'open' {
  let names: string[];
  try {
    names = fs.readdirSync('/dev/dri').filter((name) => name.startsWith('renderD'));
  } catch {
    return 'none';
  }
  if (names.length === 0) return 'none';
  const mayOpen = names.some((name) => {
    try {
      fs.accessSync(`/dev/dri/${name}`, fs.constants.R_OK | fs.constants.W_OK);
      return true;
    } catch {
      return false;
    }
  });
  return mayOpen ? 'open' : 'forbidden';
}

/** From src/cli/ in a clone, from dist/ in the built package. */
const PACKAGE_ROOT = import.meta.url.endsWith('.ts') ? '../../' : '../';

function setupCommand(): string {
  const script = fileURLToPath(new URL(`${PACKAGE_ROOT}scripts/setup.mjs`, import.meta.url));
  const near = relative(process.cwd(), script);
  return `node ${near.startsWith('..') ? script : near} --install-adapter`;
}

function runtimeVersion(): string {
  const { deno, node } = process.versions as Record<string, string | undefined>;
  return deno === undefined ? `Node ${node}` : `Deno ${deno}`;
}
