import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.ts';
import { browserRuntime } from '../../src/runtime/browser.ts';
import { detectRuntime } from '../../src/runtime/index.ts';
import { NoAdapterError } from '../../src/runtime/no-adapter.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { denoCommand, hasAdapter } from '../support/adapters.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const hasLavapipe = hasAdapter('lavapipe');
const hasSwiftShader = hasAdapter('swiftshader');

describe('Node', () => {
  it('is detected, and finds the kernels on disk', async () => {
    const runtime = await detectRuntime();
    expect(runtime.name).toBe('node');
    expect((await runtime.kernelSources())['optimizer/adamw.wgsl']).toContain('fn main');
    expect(runtime.residentBytes()).toBeGreaterThan(2 ** 20);
  });

  it.skipIf(!hasLavapipe)('takes lavapipe by either of its names, or by a part of it', async () => {
    for (const device of ['lavapipe', 'LLVMpipe'])
      expect((await nodeRuntime().requestAdapter({ device })).info.description).toContain('llvmpipe');
  });

  it.skipIf(!hasSwiftShader)('takes swiftshader, and leaves the environment as it was', async () => {
    const before = { ...process.env };
    const adapter = await nodeRuntime().requestAdapter({ device: 'SwiftShader' });
    expect(adapter.info.architecture).toBe('swiftshader');
    expect({ ...process.env }).toEqual(before);
  });

  it('takes its backend by name', async () => {
    expect((await nodeRuntime().requestAdapter({ backend: 'null' })).info.device).toContain('null');
    const chosen = await nodeRuntime().requestAdapter({ backend: 'null', device: 'NULL' });
    expect(chosen.info.device).toContain('null');
  });

  it('says which adapters there are when the wanted one is not', async () => {
    const error = await nodeRuntime()
      .requestAdapter({ backend: 'null', device: 'voodoo2' })
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(NoAdapterError);
    expect(error).toBeInstanceOf(InputError);
    expect(String(error)).toContain('"voodoo2"; this machine has "Null backend"');
  });

  it.skipIf(process.platform !== 'linux')('gives the remedies where there is no adapter', () => {
    const script = `
      import { nodeRuntime } from './src/runtime/node.ts';
      await nodeRuntime().requestAdapter().catch((e) => console.log(e.name, e.message));`;
    const bare = { VK_DRIVER_FILES: '/none', PREFGRAD_DEVICE: '', XDG_CACHE_HOME: '/none' };
    const { stdout } = runNode(script, bare);
    expect(stdout).toMatch(/^NoAdapterError .*npm run quickstart.*mesa-vulkan-drivers.*prefgrad doctor/);
  });

  it.skipIf(!hasLavapipe || !existsSync(THREADS))('holds no more threads for the tenth adapter', async () => {
    const threads: number[] = [];
    for (let i = 0; i < 10; i++) {
      const device = await (await nodeRuntime().requestAdapter({ device: 'lavapipe' })).requestDevice();
      device.destroy();
      threads.push(readdirSync(THREADS).length);
    }
    expect(threads[9]).toBeLessThanOrEqual(threads[0]);
  });

  it.skipIf(!hasLavapipe)('ends by itself and soundly, with work in flight and nothing destroyed', () => {
    const script = `
      import { nodeRuntime } from './src/runtime/node.ts';
      const device = await (await nodeRuntime().requestAdapter()).requestDevice();
      const buffer = device.createBuffer({ size: 2 ** 26, usage: 12 });
      const encoder = device.createCommandEncoder();
      encoder.clearBuffer(buffer);
      device.queue.submit([encoder.finish()]);
      void device.queue.onSubmittedWorkDone().then(() => console.log('done'));`;
    const { status, stdout } = runNode(script, { PREFGRAD_DEVICE: 'lavapipe' });
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'done\n' });
  });
});

/** Where Linux lists the threads of this process. */
const THREADS = '/proc/self/task';

function runNode(script: string, env: Record<string, string>) {
  const args = ['--import', 'tsx', '--input-type=module', '-e', script];
  return spawnSync(process.execPath, args, { cwd: root, env: { ...process.env, ...env }, encoding: 'utf8' });
}

describe.skipIf(!hasAdapter('deno'))('Deno', () => {
  it('is detected, and has adapter, kernels and the same files', () => {
    const script = `
      const { detectRuntime } = await import('./src/runtime/index.ts');
      const runtime = await detectRuntime();
      const folder = Deno.makeTempDirSync();
      const release = await runtime.files.lock(folder + '/lock');
      const again = await runtime.files.lock(folder + '/lock');
      const sink = await runtime.files.create(folder + '/a');
      await sink.write('abc');
      await sink.write(new Uint8Array([100]));
      await sink.close();
      await runtime.files.rename(folder + '/a', folder + '/b');
      const more = await runtime.files.append(folder + '/b', 3);
      await more.write('!');
      await more.close();
      const source = await runtime.files.open(folder + '/b');
      const bytes = [...await source.readRange(1, 3)];
      await source.close();
      await release();
      const missing = await runtime.files.open(folder + '/none').catch((e) => e.name);
      const adapter = await runtime.requestAdapter({ device: 'lavapipe' });
      const unknown = await runtime.requestAdapter({ device: 'voodoo2' }).catch((e) => e.name);
      console.log(JSON.stringify({ name: runtime.name, again, bytes, missing, unknown, list: await runtime.files.list(folder),
        adapter: adapter.info.description, kernels: 'optimizer/adamw.wgsl' in await runtime.kernelSources() }));`;
    const [node, ...deno] = denoCommand();
    const { stdout, stderr } = spawnSync(
      node,
      [...deno, 'eval', '--no-lock', '--node-modules-dir=manual', script],
      {
        cwd: root,
        encoding: 'utf8',
      },
    );
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      name: 'deno',
      again: null,
      bytes: [98, 99, 33],
      missing: 'InputError',
      unknown: 'NoAdapterError',
      list: ['b'],
      adapter: expect.stringContaining('llvmpipe'),
      kernels: true,
    });
  });
});

describe('the browser', () => {
  it('gets a bundle with every kernel and nothing of Node', async () => {
    const result = await build({
      root,
      configFile: false,
      logLevel: 'silent',
      build: { write: false, minify: false, lib: { entry: 'src/runtime/index.ts', formats: ['es'] } },
    });
    const [output] = Array.isArray(result) ? result : [result];
    if (!('output' in output)) throw new Error('vite is watching');
    const code = output.output.map((chunk) => (chunk.type === 'chunk' ? chunk.code : '')).join('\n');
    expect(code).not.toMatch(/from ?["'](node:|webgpu)/);
    expect(code).not.toContain('vulkan_enable_f16_on_nvidia');
    for (const name of Object.keys(await nodeRuntime().kernelSources()))
      expect(code).toContain(`kernels/${name}`);
  });

  it('without WebGPU says so', async () => {
    await expect(browserRuntime().requestAdapter()).rejects.toThrow(/no WebGPU here/);
  });
});
