import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.ts';
import { MemoryFiles } from '../../src/runtime/memory-files.ts';
import { nodeFiles } from '../../src/runtime/node-files.ts';
import type { FileSystem } from '../../src/runtime/runtime.ts';
import { temporaryDirectory } from './temporary.ts';

const systems: [name: string, files: () => FileSystem][] = [
  ['on disk', () => nodeFiles],
  ['in memory', () => new MemoryFiles()],
];

async function put(files: FileSystem, path: string, ...parts: (string | Uint8Array)[]): Promise<void> {
  const sink = await files.create(path);
  for (const part of parts) await sink.write(part);
  await sink.close();
}

describe.each(systems)('files %s', (_, make) => {
  const fresh = async () => {
    const files = make();
    const root = await temporaryDirectory();
    await files.makeDirectory(root);
    return { files, root };
  };

  it('come back as they were written, text and bytes', async () => {
    const { files, root } = await fresh();
    await put(files, `${root}/a`, 'grün ', new Uint8Array([0x62, 0x63]), '');
    expect(await files.readText(`${root}/a`)).toBe('grün bc');
    await put(files, `${root}/a`, 'new');
    expect(await files.readText(`${root}/a`)).toBe('new');
  });

  it('take a copy of what is written', async () => {
    const { files, root } = await fresh();
    const sink = await files.create(`${root}/a`);
    const bytes = new Uint8Array([65, 66]);
    await sink.write(bytes);
    bytes.fill(90);
    await sink.write(bytes.subarray(1));
    await sink.close();
    expect(await files.readText(`${root}/a`)).toBe('ABZ');
  });

  it('are read by ranges that lie inside', async () => {
    const { files, root } = await fresh();
    await put(files, `${root}/a`, 'abcdef');
    const source = await files.open(`${root}/a`);
    expect(source.size).toBe(6);
    expect([...(await source.readRange(2, 3))]).toEqual([99, 100, 101]);
    expect(await source.readRange(6, 0)).toHaveLength(0);
    for (const [offset, length] of [
      [4, 3],
      [-1, 2],
      [0, -1],
      [0.5, 1],
      [Number.NaN, 1],
    ]) {
      await expect(source.readRange(offset, length)).rejects.toThrow(/\/a: bytes .* the file has 6/);
    }
    await source.close();
  });

  it('are continued at their end or at an earlier byte', async () => {
    const { files, root } = await fresh();
    const append = async (text: string, offset?: number) => {
      const sink = await files.append(`${root}/log`, offset);
      await sink.write(text);
      await sink.close();
    };
    await append('one,');
    await append('two,');
    await append('2,', 4);
    expect(await files.readText(`${root}/log`)).toBe('one,2,');
    await append('', 0);
    expect(await files.readText(`${root}/log`)).toBe('');
  });

  it('are not continued at a byte they do not have', async () => {
    const { files, root } = await fresh();
    await put(files, `${root}/log`, 'abc');
    await expect(files.append(`${root}/log`, 4)).rejects.toThrow('byte 4, but has only 3');
    await expect(files.append(`${root}/none`, 4)).rejects.toThrow('byte 4, but is not there');
    expect(await files.readText(`${root}/log`)).toBe('abc');
  });

  it('stand in directories that list names in order', async () => {
    const { files, root } = await fresh();
    await files.makeDirectory(`${root}/d/e`);
    await files.makeDirectory(`${root}/d/e`);
    for (const name of ['b', 'a10', 'a9']) await put(files, `${root}/d/${name}`, name);
    expect(await files.list(`${root}/d`)).toEqual(['a10', 'a9', 'b', 'e']);
    expect(await files.isDirectory(`${root}/d/e`)).toBe(true);
    expect(await files.isDirectory(`${root}/d/b`)).toBe(false);
    expect(await files.exists(`${root}/d/b`)).toBe(true);
    expect(await files.exists(`${root}/d/c`)).toBe(false);
  });

  it('are renamed, alone over others, and with all that is in a directory', async () => {
    const { files, root } = await fresh();
    await put(files, `${root}/a`, 'a');
    await put(files, `${root}/b`, 'b');
    await files.rename(`${root}/a`, `${root}/b`);
    expect(await files.list(root)).toEqual(['b']);
    expect(await files.readText(`${root}/b`)).toBe('a');
    await files.makeDirectory(`${root}/d.tmp/e`);
    await put(files, `${root}/d.tmp/e/f`, 'f');
    await files.rename(`${root}/d.tmp`, `${root}/d`);
    expect(await files.readText(`${root}/d/e/f`)).toBe('f');
    await files.makeDirectory(`${root}/x`);
    await expect(files.rename(`${root}/x`, `${root}/d`)).rejects.toThrow(/\/d: is there already/);
  });

  it('are removed with everything below, and silently when missing', async () => {
    const { files, root } = await fresh();
    await files.makeDirectory(`${root}/d`);
    await put(files, `${root}/d/f`, 'f');
    await put(files, `${root}/dd`, 'stays');
    await files.remove(`${root}/d`);
    await files.remove(`${root}/d`);
    expect(await files.list(root)).toEqual(['dd']);
  });

  it('name the path in every complaint', async () => {
    const { files, root } = await fresh();
    await put(files, `${root}/f`, 'f');
    const complaints: [() => Promise<unknown>, RegExp][] = [
      [() => files.open(`${root}/none`), /\/none: there is no such file/],
      [() => files.readText(`${root}/none`), /\/none: there is no such file/],
      [() => files.create(`${root}/no/f`), /\/no\/f: there is no such file/],
      [() => files.list(`${root}/none`), /\/none: there is no such/],
      [() => files.rename(`${root}/none`, `${root}/x`), /\/none.*: there is no such/],
      [() => files.open(root), /: is a directory, but a file was expected/],
      [() => files.create(root), /: is a directory, but a file was expected/],
      [() => files.makeDirectory(`${root}/f/g`), /\/f\/g: a part of this path is a file/],
    ];
    for (const [action, text] of complaints) {
      const error = await action().catch((e: unknown) => e);
      expect(error).toBeInstanceOf(InputError);
      expect(String(error)).toMatch(text);
    }
  });

  it('hold a lock once until it is released', async () => {
    const { files, root } = await fresh();
    const release = await files.lock(`${root}/lock`);
    expect(release).not.toBeNull();
    expect(await files.lock(`${root}/lock`)).toBeNull();
    await release?.();
    expect(await files.list(root)).toEqual([]);
    expect(await files.lock(`${root}/lock`)).not.toBeNull();
  });
});

describe('files in memory', () => {
  it('take blobs, texts, bytes and sources at any path', async () => {
    const files = new MemoryFiles();
    files.add('model/config.json', '{}');
    files.add('/model//./x/../weights', new Blob([new Uint8Array([1, 2, 3])]));
    files.add('model/far', {
      name: 'far',
      size: 2,
      readRange: async () => new TextEncoder().encode('hi'),
      close: () => Promise.reject(new Error('a shared source must stay open')),
    });
    expect(await files.list('model')).toEqual(['config.json', 'far', 'weights']);
    const source = await files.open('model/weights');
    expect([...(await source.readRange(1, 2))]).toEqual([2, 3]);
    expect(await files.readText('model/far')).toBe('hi');
    await (await files.open('model/far')).close();
  });
});

describe.skipIf(process.platform !== 'linux')('a full disk', () => {
  it('is reported as a failed run with the path and what to do', async () => {
    const sink = await nodeFiles.append('/dev/full');
    await expect(sink.write('x')).rejects.toMatchObject({
      name: 'RunError',
      message: '/dev/full: the disk is full. Free some space and run again with --resume.',
    });
    await sink.close().catch(() => {});
  });
});
