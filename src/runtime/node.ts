/**
 * Node: WebGPU from npm `webgpu` (Dawn), files and kernels from disk.
 *
 * What Dawn does here, as observed with 0.6.2:
 *  - A pending GPU promise keeps the process alive, an idle device does not: a process ends by itself, with devices
 *    destroyed or not, and `process.exit()` with work in flight is safe. But when the object that `create()` returned
 *    has been collected while work is in flight, the process dies of a segmentation fault at its end.
 *  - For CPU drivers it prints two 'maxDynamic...' lines on stderr whenever an instance looks for adapters; see quiet.ts.
 *  - Mesa's lavapipe before version 24 lacks what Dawn needs, and is not offered.
 */
import { create, globals } from 'webgpu';
import { InputError } from '../errors.ts';
import { pauseDawnPolling } from './dawn-polling.ts';
import { deviceAt, deviceOfEnvironment, isIndex } from './device-choice.ts';
import type { Note } from './hub/download.ts';
import { withHub } from './hub/files.ts';
import { kernelSources } from './kernel-sources.ts';
import { NoAdapterError } from './no-adapter.ts';
import { nodeFiles } from './node-files.ts';
import { profileVariable } from './profile-variable.ts';
import { quietly } from './quiet.ts';
import { ONE_RANK } from './ranks.ts';
import type { DeviceChoice, Runtime } from './runtime.ts';
import { isSoftware } from './software-adapter.ts';
import { userCache } from './user-cache.ts';
import {
  cpuDriverFile,
  fetchedDriverFile,
  matricesNode,
  offeredDrivers,
  provideLoader,
  selectDriver,
} from './vulkan-drivers.ts';

/**
 * Dawn's toggles: f16 on NVIDIA is off by default; our kernels stay inside their bindings, so clamping every access and
 * clearing workgroup memory is work for nothing; timestamps are for benchmarks.
 */
const TOGGLES = [
  'enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia,disable_robustness,disable_workgroup_init',
  'disable-dawn-features=timestamp_quantization',
];

/**
 * Dawn's instances by their flags and the drivers that the loader offered them. Each finds its adapters once, holds
 * threads for them (lavapipe: five) and frees itself with this object: they live as long as the process, and are shared.
 */
const instances = new Map<string, GPU>();

/**
 * The runtime of Node. Opens nothing before it is asked for an adapter.
 * @param note - hears of downloads from the hub
 */
export function nodeRuntime(note: Note = () => {}): Runtime {
  return {
    name: 'node',
    files: withHub(nodeFiles, note),
    requestAdapter,
    deviceNames: () => deviceNames(platformBackend()),
    kernelSources,
    get profile() {
      return profileVariable();
    },
    cacheDirectory: userCache,
    ranks: ONE_RANK,
    residentBytes: () => process.memoryUsage.rss(),
  };
}

/** The search that was asked for last. */
let searching: Promise<unknown> = Promise.resolve();

/** One after the other: a search for a CPU driver changes the environment that Vulkan reads while it lasts. */
function requestAdapter(choice: DeviceChoice = {}): Promise<GPUAdapter> {
  const found = searching.then(() => findAdapter(choice));
  searching = found.catch(() => undefined);
  return found;
}

async function findAdapter(choice: DeviceChoice): Promise<GPUAdapter> {
  Object.assign(globalThis, globals);
  const backend = choice.backend ?? platformBackend();
  if (!BACKENDS.includes(backend))
    throw new InputError(`There is no backend ${JSON.stringify(backend)}; Dawn has ${BACKENDS.join(', ')}.`);
  const asked = choice.device || deviceOfEnvironment(process.env) || 'auto';
  const wanted = isIndex(asked) ? deviceAt(await deviceNames(backend), asked) : asked;
  const adapter =
    wanted === 'auto' ? await firstAdapter(backend) : await adapterNamed(backend, wanted.toLowerCase());
  if (adapter !== null) {
    if (isSoftware(adapter.info)) pauseDawnPolling();
    return adapter;
  }
  const starter = matricesNode();
  if (backend === platformBackend())
    throw new NoAdapterError(starter === undefined ? MISSING_ADAPTER : startedBy(starter));
  throw new NoAdapterError(
    `The backend ${backend} has no device here; this platform's own is ${platformBackend()}.`,
  );
}

/** Those that Dawn knows; a platform has one or two of them. */
const BACKENDS: readonly string[] = ['vulkan', 'metal', 'd3d12', 'd3d11', 'opengl', 'opengles', 'null'];

function platformBackend(): string {
  return { darwin: 'metal', win32: 'd3d12' }[process.platform as string] ?? 'vulkan';
}

/** Dawn sorts a discrete GPU before an integrated one, and both before CPU drivers. */
async function firstAdapter(backend: string, filter: string[] = []): Promise<GPUAdapter | null> {
  if (backend === 'vulkan') await provideLoader();
  const found = await askDawn(backend, filter);
  const fetched = found === null && backend === 'vulkan' ? fetchedDriverFile() : undefined;
  if (fetched === undefined) return found;
  // A machine without a driver of its own.
  const restore = selectDriver(fetched);
  try {
    return await askDawn(backend, filter);
  } finally {
    restore();
  }
}

async function askDawn(backend: string, filter: string[]): Promise<GPUAdapter | null> {
  const flags = [`backend=${backend}`, ...filter, ...TOGGLES];
  const kind = JSON.stringify([flags, offeredDrivers()]);
  const gpu = instances.get(kind) ?? create(flags);
  instances.set(kind, gpu);
  // Dawn looks for adapters within the call, before it returns a promise.
  const request = async (options: GPURequestAdapterOptions) =>
    (await quietly(() => [gpu.requestAdapter(options)]))[0];
  return (
    (await request({ powerPreference: 'high-performance' })) ??
    (await request({ forceFallbackAdapter: true }))
  );
}

/** The adapter whose name contains `wanted` (lower case); null when this machine has none at all. */
async function adapterNamed(backend: string, wanted: string): Promise<GPUAdapter | null> {
  const driver = backend === 'vulkan' ? cpuDriverFile(wanted) : undefined;
  if (driver !== undefined) {
    const restore = selectDriver(driver);
    try {
      return await firstAdapter(backend);
    } finally {
      restore();
    }
  }
  if (wanted === 'lavapipe-matrices') throw new NoAdapterError(NO_MATRICES);
  const names = await adapterNames(backend);
  const name = names.find((candidate) => candidate.toLowerCase().includes(wanted));
  if (name !== undefined) return firstAdapter(backend, [`adapter=${name}`]);
  if (names.length === 0) return null;
  // 'nvidia' or 'mesa' may stand in the vendor alone.
  const first = await firstAdapter(backend);
  const { vendor = '', architecture = '', description = '' } = first?.info ?? {};
  if (`${vendor} ${architecture} ${description}`.toLowerCase().includes(wanted)) return first;
  throw new NoAdapterError(
    `There is no device called ${JSON.stringify(wanted)}; this machine has ${names.map((n) => JSON.stringify(n)).join(', ')}. ` +
      'Name one of them, or leave the choice out. "npm run setup" installs the CPU driver lavapipe; swiftshader comes with chromium.',
  );
}

/** What Dawn finds by itself, then the CPU drivers that stand behind a GPU and are found only when asked for. */
async function deviceNames(backend: string): Promise<string[]> {
  Object.assign(globalThis, globals);
  const names = await adapterNames(backend);
  if (backend !== 'vulkan') return names;
  const hidden = [
    ['lavapipe', 'llvmpipe'],
    ['swiftshader', 'swiftshader'],
  ].filter(
    ([name, shown]) =>
      cpuDriverFile(name) !== undefined && !names.some((known) => known.toLowerCase().includes(shown)),
  );
  return [...names, ...hidden.map(([name]) => name)];
}

/** Dawn lists the adapters it has when it is asked for one by a name that none has. */
async function adapterNames(backend: string): Promise<string[]> {
  try {
    await firstAdapter(backend, ['adapter=(list all)']);
    return [];
  } catch (error) {
    return [...String(error).matchAll(/name: '(.*)'$/gm)].map(([, name]) => name);
  }
}

const NO_MATRICES =
  'The device lavapipe-matrices is found by programs that are started by its own script in place of node: ' +
  '"npm run setup -- --with-matrices" makes it, ~/.cache/prefgrad/lavapipe-matrices/node.';

/** The command line starts itself so; a program of one's own does not. */
const startedBy = (node: string) =>
  `There is no WebGPU adapter that this program finds. Set-up fetched one, lavapipe of Mesa 26: start the program with ${node} in place of node.`;

const MISSING_ADAPTER =
  'There is no WebGPU adapter on this machine. A GPU needs its vendor driver and the Vulkan loader (libvulkan1). ' +
  'Without a GPU, Mesa lavapipe 24 or later works: "npm run quickstart" installs it, or prints the one command to run; ' +
  'on Ubuntu 24.04 and Debian 13 that is "apt-get install mesa-vulkan-drivers libvulkan1", on Debian 12 the same with ' +
  '"-t bookworm-backports". "npx prefgrad doctor" shows what is here.';
