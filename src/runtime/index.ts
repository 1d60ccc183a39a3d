/** Finds out where we are. The only place that asks. */
import type { Runtime } from './runtime.ts';

/** 'ts' in a clone, 'js' in the built package. */
const EXTENSION = import.meta.url.slice(-2);

/**
 * The runtime of this process or page.
 *
 * @param note - hears of downloads from the Hugging Face hub; a page has none
 *
 * A bundler for browsers does not follow the imports of Node's and Deno's modules, since their names are no literals.
 */
export async function detectRuntime(note?: (text: string) => void): Promise<Runtime> {
  if ('Deno' in globalThis) {
    const module = `./deno.${EXTENSION}`;
    return ((await import(/* @vite-ignore */ module)) as typeof import('./deno.ts')).denoRuntime(note);
  }
  if (typeof process === 'object' && process.versions?.node !== undefined) {
    const module = `./node.${EXTENSION}`;
    return ((await import(/* @vite-ignore */ module)) as typeof import('./node.ts')).nodeRuntime(note);
  }
  return (await import('./browser.ts')).browserRuntime();
}
