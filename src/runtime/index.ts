/** Finds out where we are. The only place that asks. */
import type { Runtime } from './runtime.ts';

/** 'ts' in a clone, 'js' in the built package. */
const EXTENSION = import.meta.url.slice(-2);

/**
 * The runtime of this process or page.
 *
 * A bundler for browsers does not follow the imports of Node's and Deno's modules, since their names are no literals.
 */
export async function detectRuntime(): Promise<Runtime> {
  if ('Deno' in globalThis) {
    const module = `./deno.${EXTENSION}`;
    return ((await import(/* @vite-ignore */ module)) as typeof import('./deno.ts')).denoRuntime();
  }
  if (typeof process === 'object' && process.versions?.node !== undefined) {
    const module = `./node.${EXTENSION}`;
    return ((await import(/* @vite-ignore */ module)) as typeof import('./node.ts')).nodeRuntime();
  }
  return (await import('./browser.ts')).browserRuntime();
}
