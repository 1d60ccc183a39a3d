/** What `prefgrad serve` does: a model to the GPU, and a server before it. */
import { basename } from 'node:path';
import { openTextModel } from '../generate/text-model.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { checkAddress, type RunningServer, serve } from '../serve/server.ts';

export interface StartOptions {
  readonly model: string;
  readonly adapter?: string;
  readonly device?: string;
  readonly name?: string;
  readonly host: string;
  readonly port: number;
  readonly apiKey?: string;
  readonly maxSequences: number;
  readonly maxRequests: number;
  readonly maxBodyBytes: number;
  readonly cacheMib?: number;
  /** Seconds. */
  readonly timeout: number;
  readonly log: (line: string) => void;
}

/** @throws InputError for a model, device or address that cannot be had */
export async function startServer(runtime: Runtime, options: StartOptions): Promise<RunningServer> {
  const { cacheMib, timeout, name = basename(options.model.replace(/\/+$/, '')) } = options;
  checkAddress(options);
  const model = await openTextModel(runtime, {
    ...options,
    cacheBytes: cacheMib === undefined ? undefined : cacheMib * 2 ** 20,
  });
  try {
    const { tokenizer, engine } = model;
    const server = await serve({ ...options, name, tokenizer, engine, timeout: timeout * 1000 });
    return {
      url: server.url,
      async stop(grace) {
        await server.stop(grace);
        await model.close();
      },
    };
  } catch (error) {
    await model.close();
    throw error;
  }
}
