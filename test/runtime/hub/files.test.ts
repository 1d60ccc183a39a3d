/** Repositories of the hub as folders: cached where huggingface_hub caches, resumable, honest without a network. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { scanCacheDir } from '@huggingface/hub';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { InputError } from '../../../src/errors.ts';
import { withHub } from '../../../src/runtime/hub/files.ts';
import { nodeFiles } from '../../../src/runtime/node-files.ts';
import { type HubServer, serveHub } from '../../support/hub-server.ts';
import { temporaryDirectory } from '../temporary.ts';

const WEIGHTS = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 2654435761) >>> 24);
const CONTENTS = {
  'models/acme/tiny': { 'config.json': '{"a": 1}', 'weights.bin': WEIGHTS, empty: '' },
  'datasets/acme/pairs': { 'data/train.jsonl': '{}\n', 'README.md': '# Pairs' },
};

let server: HubServer | undefined;
afterEach(async () => {
  vi.unstubAllEnvs();
  await server?.close();
  server = undefined;
});

/** A server, an empty cache, and the files seen through them. */
async function fresh(token?: string) {
  server = await serveHub(CONTENTS, token);
  const home = await temporaryDirectory();
  vi.stubEnv('HF_ENDPOINT', server.endpoint);
  vi.stubEnv('HF_HOME', home);
  for (const name of ['HF_TOKEN', 'HF_HUB_CACHE', 'HUGGINGFACE_HUB_CACHE', 'HF_HUB_OFFLINE'])
    vi.stubEnv(name, '');
  vi.stubEnv('HF_HUB_CACHE', join(home, 'hub'));
  const notes: string[] = [];
  const open = () => withHub(nodeFiles, (text) => notes.push(text));
  return { server, home, notes, open, files: open() };
}

/** Whether a file has the contents of weights.bin; comparing the arrays element by element takes seconds. */
async function isWeights(files: ReturnType<typeof withHub>, path: string): Promise<boolean> {
  const source = await files.open(path);
  const all = await source.readRange(0, source.size);
  await source.close();
  return Buffer.compare(all, WEIGHTS) === 0;
}

describe('a repository', () => {
  it('is a folder: its files exist, are listed over all pages, and read', async () => {
    const { files } = await fresh();
    expect(await files.isDirectory('hf:acme/tiny')).toBe(true);
    expect(await files.list('hf:acme/tiny')).toEqual(['config.json', 'empty', 'weights.bin']);
    expect(await files.exists('hf:acme/tiny/config.json')).toBe(true);
    expect(await files.exists('hf:acme/tiny/other.json')).toBe(false);
    expect(await files.readText('hf:acme/tiny/config.json')).toBe('{"a": 1}');
    expect(await files.readText('hf:acme/tiny/empty')).toBe('');
    expect(await isWeights(files, 'hf://acme/tiny@main/weights.bin')).toBe(true);
    expect(await files.list('hf:datasets/acme/pairs/data')).toEqual(['train.jsonl']);
  });

  it('is kept in the cache that huggingface_hub knows, and read from there the next time', async () => {
    const { files, home, server, open } = await fresh();
    await isWeights(files, 'hf:acme/tiny/weights.bin');
    const commit = server.commitOf('models/acme/tiny');
    const folder = join(home, 'hub/models--acme--tiny');
    expect(readFileSync(join(folder, 'refs/main'), 'utf8')).toBe(commit);
    expect(Buffer.compare(readFileSync(join(folder, 'snapshots', commit, 'weights.bin')), WEIGHTS)).toBe(0);
    const { repos, warnings } = await scanCacheDir(join(home, 'hub'));
    expect(warnings).toEqual([]);
    expect(repos.map(({ id, size }) => [id.name, size])).toEqual([['acme/tiny', WEIGHTS.length]]);
    const before = server.requests.length;
    await isWeights(open(), 'hf:acme/tiny/weights.bin');
    expect(server.requests.slice(before).filter((line) => line.includes('/resolve/'))).toEqual([]);
  });

  it('is resumed where the connection broke, in this process or the next', async () => {
    const { files, home, server, open } = await fresh();
    server.breakNext('weights.bin', 100_000);
    expect(await isWeights(files, 'hf:acme/tiny/weights.bin')).toBe(true);
    const ranges = server.requests.filter((line) => /weights\.bin bytes=[1-9]/.test(line));
    expect(ranges).toHaveLength(1);

    const blobs = join(home, 'hub/models--acme--tiny/blobs');
    const [blob] = readdirSync(blobs).filter((name) => name.length === 64);
    rmSync(join(home, 'hub/models--acme--tiny/snapshots'), { recursive: true });
    rmSync(join(blobs, blob));
    writeFileSync(join(blobs, `${blob}.incomplete`), WEIGHTS.subarray(0, 250_000));
    expect(await isWeights(open(), 'hf:acme/tiny/weights.bin')).toBe(true);
    expect(server.requests.at(-1)).toMatch(/weights\.bin bytes=250000-299999$/);
    expect(existsSync(join(blobs, `${blob}.incomplete`))).toBe(false);
  });

  it('throws away parts that are not of this file', async () => {
    const { files, home, server } = await fresh();
    await files.readText('hf:acme/tiny/config.json');
    const blob = createHash('sha256').update(WEIGHTS).digest('hex');
    writeFileSync(join(home, 'hub/models--acme--tiny/blobs', `${blob}.incomplete`), new Uint8Array(1000));
    await expect(isWeights(files, 'hf:acme/tiny/weights.bin')).rejects.toThrow(
      /do not make up the file.*starts anew/,
    );
    expect(await isWeights(files, 'hf:acme/tiny/weights.bin')).toBe(true);
    expect(server.requests.some((line) => line.endsWith('bytes=1000-299999'))).toBe(true);
  });

  it('needs its token', async () => {
    const { open } = await fresh('hf_secret');
    await expect(open().list('hf:acme/tiny')).rejects.toThrow(/hf:acme\/tiny: the hub answers 401.*HF_TOKEN/);
    vi.stubEnv('HF_TOKEN', 'hf_secret');
    expect(await open().readText('hf:acme/tiny/config.json')).toBe('{"a": 1}');
    vi.stubEnv('HF_TOKEN', 'secret');
    await expect(open().list('hf:acme/tiny')).rejects.toThrow(/does not begin with 'hf_'/);
  });

  it.each([
    ['hf:acme/other', /hf:acme\/other: the hub answers 404.*Check the name/],
    ['hf:acme/tiny@v2', /hf:acme\/tiny@v2: the hub answers 404.*revision/],
    ['hf:acme', /names no repository.*hf:OWNER\/NAME/],
    ['hf:acme/tiny/../../etc', /leads out/],
  ])('says what is wrong with %s', async (path, says) => {
    const { files } = await fresh();
    const failure = files.isDirectory(path);
    await expect(failure).rejects.toBeInstanceOf(InputError);
    await expect(failure).rejects.toThrow(says);
  });

  it('names a missing file and the commit', async () => {
    const { files } = await fresh();
    await expect(files.open('hf:acme/tiny/no.json')).rejects.toThrow(
      /hf:acme\/tiny\/no\.json: there is no such file in the repository \(commit [0-9a-f]{12}\)/,
    );
  });

  it('is not written to', async () => {
    const { files } = await fresh();
    await expect(files.create('hf:acme/tiny/x')).rejects.toThrow(/only read/);
  });
});

describe('without the hub', () => {
  it('reads the cache when HF_HUB_OFFLINE is set, and says what it lacks', async () => {
    const { files, server, open } = await fresh();
    await files.readText('hf:acme/tiny/config.json');
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    const before = server.requests.length;
    const offline = open();
    expect(await offline.list('hf:acme/tiny')).toEqual(['config.json']);
    expect(await offline.readText('hf:acme/tiny/config.json')).toBe('{"a": 1}');
    await expect(offline.open('hf:acme/tiny/weights.bin')).rejects.toThrow(
      /not in the hub's cache, and HF_HUB_OFFLINE/,
    );
    await expect(offline.list('hf:acme/unseen')).rejects.toThrow(
      /hf:acme\/unseen: is not in the hub's cache/,
    );
    expect(server.requests).toHaveLength(before);
  });

  it('falls back on the cache when the hub cannot be reached, and says so; else it is an error with the reason', async () => {
    const { files, server, open, notes } = await fresh();
    await files.readText('hf:acme/tiny/config.json');
    await server.close();
    expect(await open().readText('hf:acme/tiny/config.json')).toBe('{"a": 1}');
    expect(notes.at(-1)).toMatch(/cannot be reached \(.*\); reading commit [0-9a-f]{12} from the cache/);
    await expect(open().list('hf:datasets/acme/pairs')).rejects.toThrow(
      /hf:datasets\/acme\/pairs: the hub cannot be reached \(.*ECONNREFUSED.*\)\. Download it on a machine/,
    );
  });
});
