/** What names data: files, patterns, and data sets of the hub by subset and split. */
import { describe, expect, it } from 'vitest';
import { expandData } from '../../../src/data/sources/expand.ts';
import { InputError } from '../../../src/errors.ts';
import { MemoryFiles } from '../../../src/runtime/memory-files.ts';

/** The hub as a file system shows it: a tree under 'hf:datasets/'. */
function tree(...paths: (string | [path: string, text: string])[]): MemoryFiles {
  const files = new MemoryFiles();
  for (const entry of paths) {
    const [path, text] = typeof entry === 'string' ? [entry, '{}'] : entry;
    files.add(path, text);
  }
  return files;
}

describe('local data', () => {
  const files = tree(
    'a.jsonl',
    'd/1.jsonl',
    'd/2.jsonl.gz',
    'd/e/3.jsonl',
    'd/e/f/4.parquet',
    'odd[1].jsonl',
  );

  it.each([
    ['a.jsonl', ['a.jsonl']],
    ['d/*', ['d/1.jsonl', 'd/2.jsonl.gz']],
    ['*/*.jsonl', ['d/1.jsonl']],
    ['d/**/*.jsonl', ['d/1.jsonl', 'd/e/3.jsonl']],
    ['**/*.{parquet,gz}', ['d/2.jsonl.gz', 'd/e/f/4.parquet']],
    ['d/[1-2].jsonl*', ['d/1.jsonl', 'd/2.jsonl.gz']],
    ['d/**', ['d/1.jsonl', 'd/2.jsonl.gz', 'd/e/3.jsonl', 'd/e/f/4.parquet']],
    ['/d/e/*.jsonl', ['/d/e/3.jsonl']],
    ['odd[1].jsonl', ['odd[1].jsonl']],
  ])('%s', async (pattern, found) => {
    expect(await expandData(files, pattern)).toEqual(found);
  });

  it.each([
    ['x.jsonl', /x\.jsonl: there is no such file.*hf:OWNER\/NAME/],
    ['d', /d: is a directory; .*d\/\*\.jsonl/],
    ['d/*.csv', /no file matches/],
  ])('says what is wrong with %s', async (pattern, says) => {
    const failure = expandData(files, pattern);
    await expect(failure).rejects.toBeInstanceOf(InputError);
    await expect(failure).rejects.toThrow(says);
  });
});

describe('a data set of the hub whose card declares its files', () => {
  const card = `---
license: mit
configs:
- config_name: default
  data_files:
  - {split: train_prefs, path: data/train_prefs-*}
  - {split: train, path: [data/train-*]}
- config_name: small
  data_files: small/*.jsonl
---
# Pairs`;
  const root = 'hf:datasets/acme/pairs';
  const files = tree(
    [`${root}/README.md`, card],
    `${root}/data/train-00000-of-00002.parquet`,
    `${root}/data/train-00001-of-00002.parquet`,
    `${root}/data/train_prefs-00000-of-00001.parquet`,
    `${root}/small/a.jsonl`,
  );

  it.each([
    ['hf:acme/pairs', ['data/train-00000-of-00002.parquet', 'data/train-00001-of-00002.parquet']],
    ['hf:acme/pairs:train_prefs', ['data/train_prefs-00000-of-00001.parquet']],
    ['hf:acme/pairs:default/train_prefs', ['data/train_prefs-00000-of-00001.parquet']],
    ['hf:acme/pairs:small', ['small/a.jsonl']],
    ['hf:datasets/acme/pairs:small/train', ['small/a.jsonl']],
    ['hf:acme/pairs/small/a.jsonl', ['small/a.jsonl']],
    [
      'hf:acme/pairs/data/train-*',
      ['data/train-00000-of-00002.parquet', 'data/train-00001-of-00002.parquet'],
    ],
  ])('%s', async (reference, found) => {
    expect(await expandData(files, reference)).toEqual(found.map((path) => `${root}/${path}`));
  });

  it('names the splits that it has', async () => {
    await expect(expandData(files, 'hf:acme/pairs:test')).rejects.toThrow(
      /hf:datasets\/acme\/pairs:test: there is no such split; it has default\/train_prefs, default\/train, small\/train/,
    );
    await expect(expandData(files, 'hf:acme/pairs/data')).rejects.toThrow(/is a folder/);
  });
});

describe('a data set of the hub without such a card', () => {
  const root = 'hf:datasets/acme/hh@v1.0';
  const files = tree(
    [`${root}/README.md`, '# No header'],
    `${root}/helpful-base/train.jsonl.gz`,
    `${root}/helpful-base/test.jsonl.gz`,
    `${root}/harmless-base/train.jsonl.gz`,
    `${root}/dataset_infos.json`,
  );

  it.each([
    ['hf:acme/hh@v1.0:helpful-base/train', ['helpful-base/train.jsonl.gz']],
    ['hf:acme/hh@v1.0:test', ['helpful-base/test.jsonl.gz']],
    ['hf:acme/hh@v1.0:harmless-base', ['harmless-base/train.jsonl.gz']],
    ['hf:acme/hh@v1.0/harmless-base/train.jsonl.gz', ['harmless-base/train.jsonl.gz']],
    ['hf:acme/hh@v1.0/h*/train.jsonl.gz', ['harmless-base/train.jsonl.gz', 'helpful-base/train.jsonl.gz']],
  ])('%s', async (reference, found) => {
    expect(await expandData(files, reference)).toEqual(found.map((path) => `${root}/${path}`));
  });

  it('takes every file for training rows where no name speaks of splits', async () => {
    const one = 'hf:datasets/meta-math/MetaMathQA/MetaMathQA-395K.json';
    for (const reference of ['hf:meta-math/MetaMathQA', 'hf:meta-math/MetaMathQA:train'])
      expect(await expandData(tree(one), reference)).toEqual([one]);
    await expect(expandData(tree(one), 'hf:meta-math/MetaMathQA:test')).rejects.toThrow(/no such split/);
    const named = tree('hf:datasets/a/b/rows.jsonl', 'hf:datasets/a/b/train_sft-0.parquet');
    await expect(expandData(named, 'hf:a/b:train')).rejects.toThrow(/no such split/);
  });

  it('prefers Parquet to a copy in JSON, and lists files where nothing fits', async () => {
    const both = tree('hf:datasets/a/b/train.json', 'hf:datasets/a/b/data/train-0.parquet');
    expect(await expandData(both, 'hf:a/b')).toEqual(['hf:datasets/a/b/data/train-0.parquet']);
    await expect(expandData(files, 'hf:acme/hh@v1.0:dev')).rejects.toThrow(
      /it has .*helpful-base\/test\.jsonl\.gz/,
    );
  });
});
