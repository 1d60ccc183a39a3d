/** Fixtures from disk, for tests that run in Node. */
import { readFileSync } from 'node:fs';

export function readFixture<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8')) as T;
}
