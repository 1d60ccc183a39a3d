/** CPU adapters are ordinary Vulkan drivers: the loader offers the one whose description file the environment names. */
import * as fs from 'node:fs';
import { userCache } from './user-cache.ts';

interface CpuDriver {
  /** What users call it. */
  readonly names: readonly string[];
  /** Where distributions keep its description file. */
  readonly files: readonly string[];
}

const DRIVERS: readonly CpuDriver[] = [
  {
    names: ['lavapipe', 'llvmpipe'],
    files: ['lvp_icd.json', 'lvp_icd.x86_64.json', 'lvp_icd.aarch64.json'].map(
      (file) => `/usr/share/vulkan/icd.d/${file}`,
    ),
  },
  {
    names: ['swiftshader'],
    files: ['/usr/lib/chromium', '/usr/lib/chromium-browser', '/opt/google/chrome'].map(
      (folder) => `${folder}/vk_swiftshader_icd.json`,
    ),
  },
];

/**
 * lavapipe of Mesa 26, which has subgroup matrices; it needs a C library of its own, and so a program that was started by
 * the script that brings it (scripts/matrices.mjs), which sets this variable.
 */
const MATRICES = 'lavapipe-matrices';

/** The loader reads the first where it knows it, else the second. */
const VARIABLES = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES'] as const;

/** The description file of the CPU driver called `name` (any case); undefined when there is none on this machine. */
export function cpuDriverFile(name: string): string | undefined {
  if (name.toLowerCase() === MATRICES) return process.env.PREFGRAD_MATRICES_ICD;
  const driver = DRIVERS.find(({ names }) => names.includes(name.toLowerCase()));
  const files = driver?.names.includes('swiftshader')
    ? [...driver.files, fetchedFile(FETCHED_ICD)]
    : driver?.files;
  return files?.find((file) => fs.existsSync(file));
}

const FETCHED_ICD = 'vk_swiftshader_icd.json';

/**
 * The description file of the driver that set-up fetched where the system has none: Mesa 26's lavapipe in a program that
 * finds it, else SwiftShader (scripts/swiftshader.mjs).
 */
export function fetchedDriverFile(): string | undefined {
  const files = [cpuDriverFile(MATRICES), fetchedFile(FETCHED_ICD)];
  return files.find((file) => file !== undefined && fs.existsSync(file));
}

/** Starts programs in place of node, so that they find Mesa 26's lavapipe; undefined where set-up did not fetch it. */
export function matricesNode(): string | undefined {
  const node = `${userCache() ?? ''}/${MATRICES}/node`;
  return fs.existsSync(node) ? node : undefined;
}

function fetchedFile(name: string): string {
  return `${userCache() ?? ''}/swiftshader/${name}`;
}

let hasLoader: Promise<void> | undefined;

/**
 * Dawn opens the Vulkan loader by the name libvulkan.so.1. Where the system has none, the one that came with the
 * fetched driver is opened before, from then on known under that name. To be called before the first WebGPU instance.
 */
export function provideLoader(): Promise<void> {
  hasLoader ??= (async () => {
    if (process.platform !== 'linux' || fetchedDriverFile() === undefined) return;
    const { default: koffi } = await import('koffi');
    for (const library of ['libvulkan.so.1', fetchedFile('libvulkan.so.1')]) {
      try {
        koffi.load(library, { global: true });
        return;
      } catch {
        // The next one, or none: then there is no adapter, which says what to do.
      }
    }
  })();
  return hasLoader;
}

/**
 * Makes the Vulkan loader offer only the driver of `file`, until the returned function is called. The loader reads the
 * environment inside the first `requestAdapter` of a WebGPU instance. Has no effect in a worker thread of Node, whose
 * environment is a copy.
 */
export function selectDriver(file: string): () => void {
  const before = VARIABLES.map((variable) => [variable, process.env[variable]] as const);
  for (const variable of VARIABLES) process.env[variable] = file;
  return () => {
    for (const [variable, value] of before) {
      if (value === undefined) delete process.env[variable];
      else process.env[variable] = value;
    }
  };
}

/** The description files that the Vulkan loader is told to offer; all undefined where it looks by itself. */
export function offeredDrivers(): readonly (string | undefined)[] {
  return VARIABLES.map((variable) => process.env[variable]);
}
