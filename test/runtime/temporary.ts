import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterAll } from 'vitest';

const made: string[] = [];

/** A new empty directory, removed when the test file is done. */
export async function temporaryDirectory(): Promise<string> {
  const path = await fs.mkdtemp(`${tmpdir()}/prefgrad-`);
  made.push(path);
  return path;
}

afterAll(async () => {
  for (const path of made.splice(0)) await fs.rm(path, { recursive: true, force: true });
});
