/** Finds out where we are. The only place that asks. */
import type { Runtime } from './runtime.ts';

export async function detectRuntime(): Promise<Runtime> {
  if ('Deno' in globalThis) return (await import('./deno.ts')).denoRuntime();
  return (await import('./node.ts')).nodeRuntime();
}
