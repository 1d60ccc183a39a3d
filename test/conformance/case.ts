/** What a conformance case is. Free of any runtime: the same list runs in Node, Deno and the browser. */
import type { Gpu } from '../../src/gpu/device.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';

export interface CaseContext {
  readonly gpu: Gpu;
  readonly runtime: Runtime;
  /** Optimizer steps of the training case. */
  readonly steps: number;
}

export interface ConformanceCase {
  readonly group: string;
  readonly name: string;
  /** Its kernels take a CPU adapter seconds to compile or to run: only the full list has it. */
  readonly isLong?: boolean;
  /** @throws Error saying what differs */
  run(context: CaseContext): Promise<void>;
}

/** How one case went. */
export interface CaseResult {
  readonly group: string;
  readonly name: string;
  /** The message of what went wrong. */
  readonly error?: string;
  readonly seconds: number;
}

/** A JSON file of the repository, through the runtime's files. Paths start at its root. */
export async function readFixture<T>({ runtime }: CaseContext, path: string): Promise<T> {
  return JSON.parse(await runtime.files.readText(path)) as T;
}
