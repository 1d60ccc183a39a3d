/** What an output does to what is already at its path. */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { InputError, RunError } from '../../src/errors.ts';
import { checkOutput, writeAtomically } from '../../src/formats/atomic-file.ts';
import { nodeFiles } from '../../src/runtime/node-files.ts';
import type { FileSystem } from '../../src/runtime/runtime.ts';

const root = mkdtempSync(join(tmpdir(), 'prefgrad-atomic-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folder = '';
let count = 0;
beforeEach(() => {
  folder = join(root, String(count++));
  mkdirSync(folder);
});
const at = (name: string) => join(folder, name);
const write = (path: string, text: string, files: FileSystem = nodeFiles) =>
  writeAtomically(files, path, (sink) => sink(text));

describe('writing an output', () => {
  it('replaces a regular file once it is complete', async () => {
    writeFileSync(at('out'), 'before');
    await writeAtomically(nodeFiles, at('out'), async (sink) => {
      await sink('after');
      expect(readFileSync(at('out'), 'utf8')).toBe('before');
    });
    expect(readFileSync(at('out'), 'utf8')).toBe('after');
    expect(readdirSync(folder)).toEqual(['out']);
  });

  it('writes into a device and leaves it one', async () => {
    await write('/dev/null', 'nothing');
    expect(lstatSync('/dev/null').isCharacterDevice()).toBe(true);
    expect(existsSync('/dev/null.tmp')).toBe(false);
  });

  it.each([true, false])('follows symbolic links, to a file that is there: %s', async (isThere) => {
    mkdirSync(at('elsewhere'));
    if (isThere) writeFileSync(at('elsewhere/target'), 'before');
    symlinkSync('elsewhere/target', at('link'));
    symlinkSync('link', at('second'));
    await write(at('second'), 'after');
    expect(lstatSync(at('link')).isSymbolicLink()).toBe(true);
    expect(lstatSync(at('second')).isSymbolicLink()).toBe(true);
    expect(readFileSync(at('elsewhere/target'), 'utf8')).toBe('after');
    expect(readdirSync(at('elsewhere'))).toEqual(['target']);
  });

  it('leaves what was there, and nothing unfinished, when the disk is full', async () => {
    writeFileSync(at('out'), 'before');
    const full: FileSystem = {
      ...nodeFiles,
      create: async (path) => ({
        ...(await nodeFiles.create(path)),
        write: () => Promise.reject(new RunError('the disk is full')),
      }),
    };
    await expect(write(at('out'), 'after', full)).rejects.toThrow(RunError);
    expect(readFileSync(at('out'), 'utf8')).toBe('before');
    expect(readdirSync(folder)).toEqual(['out']);
  });

  it('by several writers at once leaves one of them, whole', async () => {
    const texts = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(10_000));
    await Promise.all(
      texts.map((text) => writeAtomically(nodeFiles, at('out'), (sink) => sink(text), { shared: true })),
    );
    expect(texts).toContain(readFileSync(at('out'), 'utf8'));
    expect(readdirSync(folder)).toEqual(['out']);
  });
});

describe('an output is refused before any work', () => {
  it.each<[string, () => string, RegExp]>([
    ['a directory', () => folder, /is a directory/],
    ['a directory that is not there', () => at('no/out'), /no such file or directory/],
    ['a circle of links', () => circle(), /links lead in a circle/],
    ['a name that is too long', () => at('x'.repeat(300)), /too long/],
    ['a NUL in the name', () => `${at('x')}\0`, /NUL/],
    ['one that is there', () => existing(), /--resume.*--force/],
  ])('%s', async (_, path, says) => {
    const refused = checkOutput(nodeFiles, path(), false);
    await expect(refused).rejects.toThrow(InputError);
    await expect(refused).rejects.toThrow(says);
  });

  it('unless it is to be replaced, or is a device', async () => {
    await checkOutput(nodeFiles, existing(), true);
    await checkOutput(nodeFiles, '/dev/null', false);
  });

  // The superuser may write anywhere.
  it.skipIf(process.getuid?.() === 0)('where it may not be written', async () => {
    chmodSync(folder, 0o555);
    await expect(checkOutput(nodeFiles, at('out'), false)).rejects.toThrow(/not allowed/);
  });
});

function circle(): string {
  symlinkSync('b', at('a'));
  symlinkSync('a', at('b'));
  return at('a');
}

function existing(): string {
  writeFileSync(at('out'), '');
  return at('out');
}
