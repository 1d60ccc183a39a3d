/** Kernel sources in Node and Deno: of a clone from its folder, so that an edited kernel is the one that runs; of a build from inside it. */
import * as fs from 'node:fs';
import { fileURLToPath } from 'node:url';

const IS_CLONE = import.meta.url.endsWith('.ts');

/** Every file of kernels/ by its name relative to that folder, with '/'. */
export async function kernelSources(): Promise<Record<string, string>> {
  if (!IS_CLONE) return { ...(await import('./kernel-bundle.ts')).bundledKernels };
  const folder = fileURLToPath(new URL('../../kernels/', import.meta.url));
  const names = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return Object.fromEntries(
    names
      .filter((name) => name.endsWith('.wgsl'))
      .sort()
      .map((name) => [name.replaceAll('\\', '/'), fs.readFileSync(`${folder}/${name}`, 'utf8')]),
  );
}
