/** Where the conformance cases run, and how each place is started from Node. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { matricesNode } from '../../scripts/own-loader.mjs';
import { type AdapterName, denoCommand, launchChromium } from '../support/adapters.ts';
import { serve } from '../support/serve.ts';
import type { CaseResult } from './case.ts';
import type { AdapterReport, Scope } from './cases.ts';

export interface TargetReport extends AdapterReport {
  readonly results: readonly CaseResult[];
}

export interface Target {
  readonly name: string;
  readonly needs: AdapterName;
  run(scope: Scope): Promise<TargetReport>;
}

const root = fileURLToPath(new URL('../../', import.meta.url));
const SCRIPT = 'test/conformance/run-in-process.ts';
const node = [process.execPath, '--import', 'tsx'] as const;

/** Node with lavapipe of Mesa 26. */
const withMatrices = [matricesNode() ?? process.execPath, '--import', 'tsx', SCRIPT];

export const targets: readonly Target[] = [
  { name: 'Node, lavapipe', needs: 'lavapipe', run: inProcess([...node, SCRIPT], 'lavapipe') },
  { name: 'Node, SwiftShader', needs: 'swiftshader', run: inProcess([...node, SCRIPT], 'swiftshader') },
  {
    name: 'Deno, lavapipe',
    needs: 'deno',
    run: inProcess([...denoCommand(), 'run', '-A', SCRIPT], 'lavapipe'),
  },
  {
    name: 'Node, lavapipe with matrices',
    needs: 'lavapipe-matrices',
    run: inProcess(withMatrices, 'lavapipe-matrices'),
  },
  { name: 'Chromium, SwiftShader', needs: 'chromium', run: inChromium },
];

/** The kernels that GPUs take, everywhere; compiling those takes a CPU adapter minutes. */
export const asGpu: readonly Target[] = [
  {
    name: 'Node, lavapipe with matrices, as a GPU',
    needs: 'lavapipe-matrices',
    run: inProcess(withMatrices, 'lavapipe-matrices', { PREFGRAD_PROFILE: 'gpu' }),
  },
  {
    name: 'Node, lavapipe with subgroups of 4, as a GPU',
    needs: 'lavapipe',
    run: inProcess([...node, SCRIPT], 'lavapipe', {
      PREFGRAD_PROFILE: 'gpu',
      LP_NATIVE_VECTOR_WIDTH: '128',
      LVP_POISON_MEMORY: '1',
    }),
  },
  {
    name: 'Node, lavapipe with subgroups of 16, as a GPU',
    needs: 'lavapipe',
    run: inProcess([...node, SCRIPT], 'lavapipe', { PREFGRAD_PROFILE: 'gpu', LP_NATIVE_VECTOR_WIDTH: '512' }),
  },
];

/** Where the cases of matrix-cases.ts run. */
export const withTensorCores: readonly Target[] = targets.filter(
  ({ needs }) => needs === 'lavapipe-matrices',
);

function inProcess(
  [command, ...args]: readonly string[],
  adapter: string,
  more: Readonly<Record<string, string>> = {},
): Target['run'] {
  return (scope) =>
    new Promise((resolve, reject) => {
      const env = { ...process.env, PREFGRAD_DEVICE: adapter, ...more };
      const child = spawn(command, [...args, scope], { cwd: root, env });
      let output = '';
      let errors = '';
      child.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
      child.stderr.on('data', (chunk: Buffer) => {
        errors += chunk.toString();
      });
      child.on('error', reject);
      child.on('close', (code) => {
        const lines = output.split('\n').filter((line) => line.startsWith('{'));
        const parsed = lines.map((line) => JSON.parse(line) as CaseResult | AdapterReport);
        const report = parsed.find((line): line is AdapterReport => 'adapter' in line);
        if (code !== 0 || report === undefined)
          reject(new Error(`${command} ended with ${code}:\n${errors}`));
        else resolve({ ...report, results: parsed.filter((line): line is CaseResult => 'name' in line) });
      });
    });
}

async function inChromium(scope: Scope): Promise<TargetReport> {
  const bundle = await build({
    root,
    configFile: false,
    logLevel: 'silent',
    build: {
      write: false,
      minify: false,
      lib: { entry: 'test/conformance/run-in-page.ts', formats: ['es'] },
      rolldownOptions: { output: { codeSplitting: false } },
    },
  });
  const [output] = Array.isArray(bundle) ? bundle : [bundle];
  if (!('output' in output)) throw new Error('vite is watching');
  const page = '<!doctype html><meta charset="utf-8"><script type="module" src="/cases.js"></script>';
  const server = await serve(root, { '/': page, '/cases.js': output.output[0].code });
  const browser = await launchChromium();
  try {
    const tab = await browser.newPage();
    await tab.goto(`${server.origin}/?scope=${scope}`);
    const handle = await tab.waitForFunction(() => Reflect.get(globalThis, 'conformance'), undefined, {
      timeout: 600_000,
      polling: 250,
    });
    const found = (await handle.jsonValue()) as TargetReport | { readonly failure: string };
    if ('failure' in found) throw new Error(found.failure);
    return found;
  } finally {
    await browser.close();
    await server.close();
  }
}
