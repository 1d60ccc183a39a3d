/** Which adapters of this machine a test may use. Where PREFGRAD_REQUIRE names one, it may not be missing. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { matricesNode } from '../../scripts/own-loader.mjs';
import { cpuDriverFile } from '../../src/runtime/vulkan-drivers.ts';

export type AdapterName = 'lavapipe' | 'lavapipe-matrices' | 'swiftshader' | 'deno' | 'chromium';

const root = fileURLToPath(new URL('../../', import.meta.url));
const CHROMIUM = '/usr/bin/chromium';
const DENO = `${root}node_modules/deno/bin.cjs`;

const WHERE: Readonly<Record<AdapterName, () => boolean>> = {
  lavapipe: () => cpuDriverFile('lavapipe') !== undefined,
  'lavapipe-matrices': () => matricesNode() !== undefined,
  swiftshader: () => cpuDriverFile('swiftshader') !== undefined,
  deno: () => existsSync(DENO) && cpuDriverFile('lavapipe') !== undefined,
  chromium: () => existsSync(CHROMIUM),
};

/** @throws Error when the adapter is missing although PREFGRAD_REQUIRE names it, as in .ci/run. */
export function hasAdapter(name: AdapterName): boolean {
  if (WHERE[name]()) return true;
  if ((process.env.PREFGRAD_REQUIRE ?? '').split(',').includes(name))
    throw new Error(`${name} is missing here, but PREFGRAD_REQUIRE names it; "npm run setup" installs it.`);
  return false;
}

/** The command that starts Deno, to be followed by its arguments. */
export function denoCommand(): [string, ...string[]] {
  return [process.execPath, DENO];
}

/** Debian's Chromium without a window, with WebGPU on SwiftShader. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
  });
}
