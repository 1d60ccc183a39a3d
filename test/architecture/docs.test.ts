/** docs/architecture.md and docs/contributing.md beside the tree that they describe. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const architecture = readFileSync('docs/architecture.md', 'utf8');

/** Paths in backquotes; words in capitals stand for a name that the reader gives. */
function pathsIn(text: string): string[] {
  return [...text.matchAll(/`((?:src|test|web|bench|kernels|docs)\/[\w./-]*)`/g)]
    .map(([, path]) => path)
    .filter((path) => !/[A-Z]{4}/.test(path));
}

describe('docs/architecture.md', () => {
  it('says what every folder of src is for', () => {
    const folders = readdirSync('src', { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(
      folders.map(({ name }) => name).filter((name) => !architecture.includes(`\`src/${name}/\``)),
    ).toEqual([]);
  });
});

describe.each(['docs/architecture.md', 'docs/contributing.md'])('%s', (page) => {
  it('names files that are there', () => {
    const paths = pathsIn(readFileSync(page, 'utf8'));
    expect(paths.length).toBeGreaterThan(5);
    expect(paths.filter((path) => !existsSync(path))).toEqual([]);
  });
});
