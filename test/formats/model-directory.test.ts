import { describe, expect, it } from 'vitest';
import { ModelDirectory } from '../../src/formats/model-directory.ts';
import { configWithDType, modelFiles } from '../../src/formats/model-files.ts';
import { jsonFile, type OutputFile, textFile } from '../../src/formats/output-file.ts';
import { safetensorsFile } from '../../src/formats/safetensors-writer.ts';
import { randomTensor, seededRandom, written } from './samples.ts';

const random = seededRandom(11);
/** 40, 24, 24 and 4 bytes. */
const tensors = [
  randomTensor({ name: 'model.embed_tokens.weight', dtype: 'BF16', shape: [5, 4] }, random),
  randomTensor({ name: 'model.layers.0.q', dtype: 'BF16', shape: [3, 4] }, random),
  randomTensor({ name: 'model.layers.1.q', dtype: 'BF16', shape: [3, 4] }, random),
  randomTensor({ name: 'model.norm.weight', dtype: 'BF16', shape: [2] }, random),
];

const base: OutputFile[] = [
  textFile(
    'config.json',
    '{\n  "model_type": "llama",\n  "rope_theta": 500000.0,\n  "torch_dtype": "float32"\n}\n',
  ),
  textFile('tokenizer.json', '{ "odd":   "spacing" }'),
  textFile('tokenizer_config.json', '{}'),
  textFile('generation_config.json', '{"temperature": 1.0}'),
  textFile('pytorch_model.bin', 'not ours'),
];

async function save(maxShardBytes?: number) {
  const files = await written('base', base);
  const contents = await modelFiles(files, 'base', tensors, { dtype: 'BF16', maxShardBytes });
  await files.makeDirectory('out');
  for (const file of contents) {
    const sink = await files.create(`out/${file.name}`);
    await file.write(sink);
  }
  return files;
}

describe('a saved model', () => {
  it.each([
    ['in one file', undefined, 1],
    ['in shards', 64, 2],
    ['in shards smaller than a tensor', 8, 4],
  ])('is read back %s', async (_, maxShardBytes, shards) => {
    const files = await save(maxShardBytes);
    const names = (await files.list('out')).filter((name) => name.endsWith('.safetensors'));
    expect(names).toHaveLength(shards);
    const model = await ModelDirectory.open(files, 'out');
    expect([...model.tensors.keys()]).toEqual(tensors.map((t) => t.name));
    for (const { name, shape, dtype, bytes } of tensors) {
      expect(model.tensors.get(name)).toMatchObject({ name, shape, dtype });
      expect(await model.readTensor(name)).toEqual(bytes);
    }
    expect(await model.readTensorRows('model.embed_tokens.weight', 2, 2)).toEqual(
      tensors[0].bytes.slice(16, 32),
    );
    expect(await model.readRange('model.layers.1.q', 3, 4)).toEqual(tensors[2].bytes.slice(3, 7));
    await expect(model.readTensor('lm_head.weight')).rejects.toThrow(
      'out: there is no tensor lm_head.weight',
    );
    await model.close();
  });

  it('has the index that transformers reads', async () => {
    const files = await save(64);
    expect(JSON.parse(await files.readText('out/model.safetensors.index.json'))).toEqual({
      metadata: { total_size: 92 },
      weight_map: {
        'model.embed_tokens.weight': 'model-00001-of-00002.safetensors',
        'model.layers.0.q': 'model-00001-of-00002.safetensors',
        'model.layers.1.q': 'model-00002-of-00002.safetensors',
        'model.norm.weight': 'model-00002-of-00002.safetensors',
      },
    });
  });

  it('takes over tokenizer and generation settings byte for byte, and nothing else', async () => {
    const files = await save();
    expect(await files.list('out')).toEqual([
      'config.json',
      'generation_config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    expect(await files.readText('out/tokenizer.json')).toBe('{ "odd":   "spacing" }');
  });
});

describe('config.json', () => {
  const edit = (text: string) => configWithDType(text, 'config.json', 'BF16');

  it('keeps its text but for the dtype', () => {
    expect(edit('{\n  "rope_theta": 500000.0,\n  "torch_dtype": "float32"\n}\n')).toBe(
      '{\n  "rope_theta": 500000.0,\n  "torch_dtype": "bfloat16"\n}\n',
    );
    expect(edit('{"dtype":null,"a":1e-05}')).toBe('{"dtype": "bfloat16","a":1e-05}');
  });

  it('gets a dtype where it has none', () => {
    expect(edit('{\n  "a": 1.0\n}')).toBe('{\n  "torch_dtype": "bfloat16",\n  "a": 1.0\n}');
    expect(JSON.parse(edit('{}'))).toEqual({ torch_dtype: 'bfloat16' });
  });

  it('is written anew where its text cannot be edited safely', () => {
    const text = '{"part": {"dtype": "float32"}, "dtype": "float32"}';
    expect(JSON.parse(edit(text))).toEqual({ part: { dtype: 'float32' }, dtype: 'bfloat16' });
  });
});

describe('a directory that is no sound model is refused by name', () => {
  const config = textFile('config.json', '{}');
  const index = (weight_map: unknown) => jsonFile('model.safetensors.index.json', { weight_map });
  it.each<[string, OutputFile[], RegExp]>([
    ['no config', [], /m\/config.json: there is no such file/],
    ['a config that is no JSON', [textFile('config.json', '{a')], /m\/config.json: not JSON/],
    [
      'a config that is no object',
      [textFile('config.json', '[1]')],
      /m\/config.json: expected a JSON object/,
    ],
    ['no weights', [config], /m: there is neither model.safetensors nor/],
    ['an index without a map', [config, index(undefined)], /index.json: there is no weight_map/],
    [
      'a shard elsewhere',
      [config, index({ w: '../x' })],
      /weight_map gives "..\/x" for w, which is no file name/,
    ],
    ['a shard that is no text', [config, index({ w: 1 })], /weight_map gives 1 for w/],
    [
      'a missing shard',
      [config, index({ w: 'a.safetensors' })],
      /index.json does not match[\s\S]*shard a.safetensors is missing/,
    ],
    [
      'a shard without its tensor',
      [
        config,
        index({ w: 'a.safetensors', [tensors[3].name]: 'a.safetensors' }),
        safetensorsFile('a.safetensors', [tensors[3]]),
      ],
      /w should be in a.safetensors, but is not/,
    ],
    [
      'an empty weight file',
      [config, textFile('model.safetensors', '')],
      /m\/model.safetensors: the file is empty/,
    ],
  ])('%s', async (_, contents, text) => {
    const files = await written('m', contents);
    const error = await ModelDirectory.open(files, 'm').catch((e: unknown) => e);
    expect(error).toMatchObject({ name: 'InputError' });
    expect(String(error)).toMatch(text);
  });

  it('no directory', async () => {
    await expect(ModelDirectory.open(await written('m', []), 'n')).rejects.toThrow(
      'n: there is no such directory',
    );
  });
});
