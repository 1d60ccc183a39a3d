/**
 * Every raw answer on disk, one file per request, under the SHA-256 of URL and body. A run that is started again pays
 * for nothing twice, and what a model said stays readable: {url, body, answer, sha256}, the answer as it came.
 */
import { z } from 'zod';
import { Digest } from '../digest.ts';
import type { FileSystem } from '../runtime/runtime.ts';

const KEPT = z.object({ answer: z.string(), sha256: z.string() });

export class AnswerCache {
  readonly directory: string;
  readonly #files: FileSystem;
  readonly #made = new Set<string>();

  constructor(files: FileSystem, directory: string) {
    this.#files = files;
    this.directory = directory;
  }

  async key(url: string, body: unknown): Promise<string> {
    const digest = new Digest();
    await digest.add(url);
    await digest.add(JSON.stringify(body));
    return digest.hex();
  }

  /** The raw answer; undefined where there is none, or where its file is damaged. */
  async get(key: string): Promise<string | undefined> {
    const path = this.#path(key);
    if (!(await this.#files.exists(path))) return undefined;
    try {
      const { answer, sha256 } = KEPT.parse(JSON.parse(await this.#files.readText(path)));
      return sha256 === (await digestOf(answer)) ? answer : undefined;
    } catch (error) {
      if (error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
      throw error;
    }
  }

  /** Takes its name when it is complete, so that a killed process leaves no half answer. */
  async put(key: string, url: string, body: unknown, answer: string): Promise<void> {
    const folder = this.#folder(key);
    if (!this.#made.has(folder)) await this.#files.makeDirectory(folder);
    this.#made.add(folder);
    const draft = `${this.#path(key)}.${crypto.randomUUID()}.tmp`;
    const sink = await this.#files.create(draft);
    await sink.write(`${JSON.stringify({ url, body, answer, sha256: await digestOf(answer) })}\n`);
    await sink.close();
    await this.#files.rename(draft, this.#path(key));
  }

  #folder(key: string): string {
    return `${this.directory}/${key.slice(0, 2)}`;
  }

  #path(key: string): string {
    return `${this.#folder(key)}/${key}.json`;
  }
}

async function digestOf(answer: string): Promise<string> {
  const digest = new Digest();
  await digest.add(answer);
  return digest.hex();
}
