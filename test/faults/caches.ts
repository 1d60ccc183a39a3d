/** Damaged caches: what they give is what was put in; all else is made, measured or asked for again. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { Example } from '../../src/data/examples.ts';
import { KernelChoices, PRODUCT_VARIANTS } from '../../src/gpu/choices.ts';
import { AnswerCache } from '../../src/llm/cache.ts';
import { withHub } from '../../src/runtime/hub/files.ts';
import { parseHubPath } from '../../src/runtime/hub/path.ts';
import { MemoryFiles } from '../../src/runtime/memory-files.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { nodeFiles } from '../../src/runtime/node-files.ts';
import { ChoiceCache } from '../../src/train/kernel-choices.ts';
import { ReferenceCache } from '../../src/train/reference-cache.ts';
import { accepted, damagedBytes, damagedJson, damagedText } from './mutations.ts';

const SEED = 23;
const COMMIT = 'c0ffee'.padEnd(40, '0');

/** A device as caches see it, whose files are in memory. */
function device(files: MemoryFiles) {
  const runtime = { ...nodeRuntime(), files, cacheDirectory: () => 'cache' };
  const profile = { kernels: 'cpu' } as const;
  return { runtime, profile, deviceName: 'device', driver: 'driver', choices: new KernelChoices() };
}

function example(prompt: number[], chosen: number[], rejected: number[]): Example {
  const ids = (values: number[]) => Int32Array.from(values);
  const answers = { chosen: { ids: ids(chosen) }, rejected: { ids: ids(rejected) } };
  return { kind: 'pair', index: 0, line: 1, promptIds: ids(prompt), truncated: false, ...answers };
}

const EXAMPLES = [example([1, 5], [7, 8, 2], [9, 2]), example([1], [3, 2], [4, 4, 2])];
const LOGPS = [Float32Array.of(-1, -2, -3, -4, -5), Float32Array.of(-6, -7, -8, -9, -10)];
const HIDDEN = Float32Array.from({ length: 10 * 4 }, (_, i) => i / 8);

/** What takes the place of a file in the hub's cache. */
const REPLACEMENTS: Readonly<Record<string, (path: string) => void>> = {
  nothing: () => {},
  directory: (path) => fs.mkdirSync(path),
  'link to itself': (path) => fs.symlinkSync(path, path),
  'link to nothing': (path) => fs.symlinkSync('nothing', path),
  'link to a directory': (path) => fs.symlinkSync('.', path),
};

/** @param runs damaged files of every kind */
export function checkCaches(runs: number): void {
  const check = <T>(arbitrary: fc.Arbitrary<T>, property: (input: T) => Promise<void>, most = runs) =>
    fc.assert(fc.asyncProperty(arbitrary, property), { numRuns: most, seed: SEED });

  const wholeReference = async (kind: 'logps' | 'hidden') => {
    const files = new MemoryFiles();
    for (const name of ['config.json', 'model.safetensors'])
      files.add(`m/${name}`, new Uint8Array(fs.readFileSync(`examples/stories260K/${name}`)));
    const notes: string[] = [];
    const note = (line: string) => void notes.push(line);
    const cache = await ReferenceCache.open('cache', { gpu: device(files), model: 'm', dtype: 'f32', note });
    if (kind === 'logps') await cache.write(EXAMPLES, LOGPS);
    else
      await cache.writeHidden(
        EXAMPLES,
        4,
        (async function* () {
          yield HIDDEN;
        })(),
      );
    const [name] = await files.list('cache');
    const path = `cache/${name}`;
    const whole = new Uint8Array(await (await files.blob(path)).arrayBuffer());
    return { files, cache, notes, path, whole };
  };

  it('log-probs of a reference', async () => {
    const { files, cache, notes, path, whole } = await wholeReference('logps');
    await check(damagedBytes(whole), async (bytes) => {
      files.add(path, bytes);
      notes.length = 0;
      const found = await cache.read(EXAMPLES);
      if (found === undefined) expect(notes).toEqual([`${path} is damaged, and is made again.`]);
      else expect(found).toEqual(LOGPS);
    });
  });

  it('hidden states of a reference', async () => {
    const { files, cache, notes, path, whole } = await wholeReference('hidden');
    await check(damagedBytes(whole), async (bytes) => {
      files.add(path, bytes);
      notes.length = 0;
      const found = await cache.openHidden(EXAMPLES);
      if (found === undefined) expect(notes).toEqual([`${path} is damaged, and is made again.`]);
      else expect(await found.read([0, 1])).toEqual(HIDDEN);
    });
  });

  it('choices of kernels', async () => {
    const files = new MemoryFiles();
    files.add('cache/other', '');
    const choices = { 'forward f32 64 x 64 x 512': 'tiled', 'input f32 64 x 64 x 512': 'plain' };
    const notes: string[] = [];
    const open = () => ChoiceCache.open(device(files), (line) => void notes.push(line));
    const cache = await open();
    await cache.write(choices);
    const path = cache.path ?? '';
    const text = damagedText(JSON.stringify(choices), ['null', '-1', ',', '[]', '"plain"']);
    const damaged = fc.oneof(
      damagedJson(choices).map((value) => JSON.stringify(value) ?? ''),
      text,
    );
    await check(damaged, async (contents) => {
      files.add(path, contents);
      notes.length = 0;
      const { known } = await open();
      const loaded = new KernelChoices();
      loaded.load(known);
      for (const variant of loaded.products.values()) expect(PRODUCT_VARIANTS).toContain(variant);
      expect(notes.every((line) => line === `${path} is damaged, and is made again.`)).toBe(true);
      if (notes.length === 0) expect(known).toEqual(JSON.parse(contents));
    });
  });

  it('answers of endpoints', async () => {
    const files = new MemoryFiles();
    const cache = new AnswerCache(files, 'cache');
    const [url, body, answer] = ['http://127.0.0.1/v1', { model: 'x' }, '{"choices": [{"text": "so"}]}'];
    const key = await cache.key(url, body);
    await cache.put(key, url, body, answer);
    const path = `cache/${key.slice(0, 2)}/${key}.json`;
    const whole = new Uint8Array(await (await files.blob(path)).arrayBuffer());
    await check(damagedBytes(whole), async (bytes) => {
      files.add(path, bytes);
      expect([undefined, answer]).toContain(await cache.get(key));
    });
  });

  it('names of places on the hub', () => {
    const names = damagedText('hf:datasets/OWNER/NAME@refs%2Fpr%2F1/data/rows.jsonl', [
      '..',
      '/',
      '%',
      '%00',
      '@',
    ]);
    return check(names, async (text) => {
      const place = await accepted('', () => parseHubPath(text));
      if (place === undefined) return;
      const { repo, path } = place;
      for (const part of `${repo.revision}/${path}`.split('/')) expect(part).not.toBe('..');
    });
  });

  const folder = fs.mkdtempSync(join(tmpdir(), 'prefgrad-caches-'));
  beforeAll(() => {
    vi.stubEnv('HF_HUB_CACHE', join(folder, 'hub'));
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    vi.stubEnv('HF_TOKEN', '');
  });
  afterAll(() => {
    vi.unstubAllEnvs();
    fs.rmSync(folder, { recursive: true, force: true });
  });

  it('the hub’s', async () => {
    const storage = join(folder, 'hub/models--OWNER--NAME');
    const snapshot = join(storage, 'snapshots', COMMIT);
    const [reference, pointer, blob] = [join(storage, 'refs/main'), join(snapshot, 'a.json'), 'blobs/1'];
    const write = () => {
      fs.rmSync(storage, { recursive: true, force: true });
      for (const name of ['refs', 'blobs', `snapshots/${COMMIT}`])
        fs.mkdirSync(join(storage, name), { recursive: true });
      fs.writeFileSync(reference, COMMIT);
      fs.writeFileSync(join(storage, blob), 'contents');
      fs.symlinkSync(`../../${blob}`, pointer);
    };
    // Where a damaged reference would lead that is taken for a path.
    fs.mkdirSync(join(folder, 'outside'));
    fs.writeFileSync(join(folder, 'outside/a.json'), 'secret');
    const damage = fc.oneof(
      fc.record({
        of: fc.constantFrom(reference, pointer, snapshot, join(storage, blob)),
        by: fc.constantFrom(...Object.keys(REPLACEMENTS)),
      }),
      damagedText(COMMIT, ['../', '../../../../outside', '/', '\n']).map((text) => ({
        of: reference,
        by: text,
      })),
      fc.constant({ of: reference, by: '../../../outside' }),
    );
    await check(
      damage,
      async ({ of, by }) => {
        write();
        fs.rmSync(of, { recursive: true });
        const replace = REPLACEMENTS[by];
        if (replace === undefined) fs.writeFileSync(of, by);
        else replace(of);
        const files = withHub(nodeFiles, () => {});
        const name = 'hf:OWNER/NAME/a.json';
        const text = await accepted('OWNER', () => files.readText(name));
        expect([undefined, 'contents']).toContain(text);
      },
      Math.ceil(runs / 4),
    );
  });
}
