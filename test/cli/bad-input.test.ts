/** Whatever is wrong with what a user gives, `train` ends with 2, says what and where, and leaves nothing half-written. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Cli } from '../../src/cli/context.ts';
import { runCli } from '../../src/cli/program.ts';
import { MemoryFiles } from '../../src/runtime/memory-files.ts';
import { NoAdapterError } from '../../src/runtime/no-adapter.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';

const MODEL = 'examples/stories260K';
const PAIR = { prompt: 'Once', chosen: ' a cat.', rejected: ' a dog.' };
const CONFIG = `model: {path: m}
objective: dpo
data:
  train: pairs.jsonl
  max_length: 128
training: {max_steps: 1}
output_dir: out
`;

const disk = (name: string) => new Uint8Array(readFileSync(`${MODEL}/${name}`));
const json = (name: string, edit: (value: Record<string, unknown>) => void): string => {
  const value = JSON.parse(readFileSync(`${MODEL}/${name}`, 'utf8')) as Record<string, unknown>;
  edit(value);
  return JSON.stringify(value);
};
/** The checkpoint with its header edited; offsets stay as they are unless the edit moves them. */
function weights(
  edit: (header: Record<string, { shape: number[]; data_offsets: number[] }>) => void,
): Uint8Array<ArrayBuffer> {
  const bytes = disk('model.safetensors');
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  edit(header);
  const text = new TextEncoder().encode(JSON.stringify(header));
  const result = new Uint8Array(8 + text.length + bytes.length - 8 - length);
  new DataView(result.buffer).setBigUint64(0, BigInt(text.length), true);
  result.set(text, 8);
  result.set(bytes.subarray(8 + length), 8 + text.length);
  return result;
}
const lines = (...rows: unknown[]) =>
  rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row))).join('\n');

type Contents = string | Uint8Array<ArrayBuffer>;

/** Runs `prefgrad train run.yaml`, or another command, with some files replaced. */
async function trainWith(
  files: Readonly<Record<string, Contents>>,
  changes: Partial<Runtime> = {},
  args: readonly string[] = ['train', 'run.yaml'],
) {
  const memory = new MemoryFiles();
  for (const name of ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'])
    memory.add(`m/${name}`, disk(name));
  for (const [path, contents] of Object.entries({
    'run.yaml': CONFIG,
    'pairs.jsonl': lines(PAIR, PAIR),
    ...files,
  }))
    memory.add(path, contents);
  let stderr = '';
  const cli: Cli = {
    out() {},
    err: (text) => {
      stderr += text;
    },
    terminal: undefined,
    runtime: async () => ({ ...nodeRuntime(), files: memory, ...changes }),
    exitCode: 0,
  };
  const code = await runCli(args, cli);
  const left = (await memory.exists('out')) ? await memory.list('out') : [];
  return { code, stderr, left };
}

const cases: readonly [what: string, files: Readonly<Record<string, Contents>>, says: RegExp][] = [
  [
    'weights cut off',
    { 'm/model.safetensors': disk('model.safetensors').slice(0, 5000) },
    /m\/model\.safetensors: .*(truncated|only|beyond)/s,
  ],
  [
    'no bytes of weights',
    { 'm/model.safetensors': new Uint8Array(0) },
    /m\/model\.safetensors: the file is empty/,
  ],
  [
    'overlapping weights',
    {
      'm/model.safetensors': weights((h) => {
        const [a, b] = Object.values(h).filter((e) => e.shape);
        b.data_offsets = a.data_offsets;
      }),
    },
    /m\/model\.safetensors/,
  ],
  [
    'a weight too few',
    {
      'm/model.safetensors': weights((h) => {
        const { 'model.norm.weight': norm, ...rest } = h;
        for (const k of Object.keys(h)) delete h[k];
        Object.assign(h, rest, { 'model.other': norm });
      }),
    },
    /model\.norm\.weight: missing, expected shape \[64\]/,
  ],
  [
    'a weight of another shape',
    {
      'm/model.safetensors': weights((h) => {
        h['model.norm.weight'].shape = [8, 8];
      }),
    },
    /model\.norm\.weight: has shape \[8,8\], expected \[64\]/,
  ],
  [
    'another architecture',
    {
      'm/config.json': json('config.json', (c) => {
        c.architectures = ['GPT2LMHeadModel'];
        c.model_type = 'gpt2';
      }),
    },
    /GPT2LMHeadModel/,
  ],
  [
    'a field that is not supported',
    {
      'm/config.json': json('config.json', (c) => {
        c.attention_bias = true;
      }),
    },
    /attention_bias/,
  ],
  [
    'a vocabulary of another size',
    {
      'm/config.json': json('config.json', (c) => {
        c.vocab_size = 300;
      }),
    },
    /embed_tokens\.weight: has shape \[512,64\], expected \[300,64\]/,
  ],
  [
    'a tokenizer with more tokens than the model',
    {
      'm/tokenizer.json': json('tokenizer.json', (t) => {
        (t.added_tokens as unknown[]).push({ id: 512, content: '<extra>', special: true });
      }),
      'pairs.jsonl': lines({ ...PAIR, prompt: 'Once <extra>' }),
    },
    /token id 512 \('<extra>'\) lies outside the model's vocabulary of 512/,
  ],
  ['a line that is no JSON', { 'pairs.jsonl': lines(PAIR, '{"prompt": ', PAIR) }, /pairs\.jsonl:2: /],
  [
    'a row without an answer',
    { 'pairs.jsonl': lines(PAIR, { prompt: 'Once', chosen: ' a cat.' }) },
    /pairs\.jsonl:2: .*rejected/,
  ],
  [
    'an empty answer',
    { 'pairs.jsonl': lines(PAIR, { ...PAIR, rejected: '' }) },
    /pairs\.jsonl:2: .*rejected/,
  ],
  [
    'nothing but identical answers',
    { 'pairs.jsonl': lines({ ...PAIR, rejected: PAIR.chosen }) },
    /1 with identical answers/,
  ],
  [
    'single answers for a method of pairs',
    { 'pairs.jsonl': lines({ prompt: 'Once', completion: ' a cat.', label: true }) },
    /pairs\.jsonl:1: /,
  ],
  [
    'more tokens than the model has positions',
    { 'run.yaml': CONFIG.replace('128', '1024') },
    /run\.yaml:5:3: data\.max_length: 1024 is more than the model's 512 positions/,
  ],
  [
    'a key that does not exist',
    { 'run.yaml': CONFIG.replace('max_steps', 'max_step') },
    /run\.yaml:6:\d+: .*max_step: there is no such key; did you mean max_steps\?/,
  ],
  [
    'a value out of range',
    { 'run.yaml': CONFIG.replace('max_steps: 1', 'learning_rate: 7') },
    /run\.yaml:6:\d+: training\.learning_rate: found 7/,
  ],
  [
    'an unknown method',
    { 'run.yaml': CONFIG.replace('dpo', 'dppo') },
    /run\.yaml:2:\d+: .*dppo.*did you mean/,
  ],
  ['an output directory in use', { 'out/metrics.jsonl': '{}' }, /out is in use \(metrics\.jsonl\)/],
];

describe('bad input', () => {
  it.each(cases)('%s', async (what, files, says) => {
    const { code, stderr, left } = await trainWith(files);
    expect(code, stderr).toBe(2);
    expect(stderr).toMatch(says);
    // The lock of the run that did not start is gone with it.
    expect(left).toEqual(what === 'an output directory in use' ? ['metrics.jsonl'] : []);
  });

  it.each(cases.filter(([what]) => what.includes('weight')))(
    '%s, found by validate',
    async (_, files, says) => {
      const { code, stderr } = await trainWith(files, {}, ['validate', 'run.yaml']);
      expect(code, stderr).toBe(2);
      expect(stderr).toMatch(says);
      expect(stderr).toMatch(/run\.yaml:1:9: model\.path: /);
    },
  );

  it('one problem of many rows: once, with their lines', async () => {
    const { stderr } = await trainWith({ 'pairs.jsonl': lines(...Array(30).fill({ prompt: 'Once' })) });
    expect(stderr.match(/field 'chosen' is missing/g)).toHaveLength(1);
    expect(stderr).toContain('(also in lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 19 more)');
  });

  it.each([
    ['a field that there is none of', 'nope=x', /Expected FIELD=NAME with FIELD one of prompt, chosen/],
    ['no column', 'prompt', /Expected FIELD=NAME/],
  ])('--columns with %s', async (_, columns, says) => {
    const rest = ['--model', 'm', '--data', 'pairs.jsonl', '--out', 'out.jsonl'];
    const { code, stderr } = await trainWith({}, {}, ['score', ...rest, '--columns', columns]);
    expect(code).toBe(2);
    expect(stderr).toMatch(says);
  });

  it('no adapter: 2, with the remedy', async () => {
    const { code, stderr } = await trainWith(
      {},
      {
        requestAdapter: () => Promise.reject(new NoAdapterError('There is no adapter. Run "npm run setup".')),
      },
    );
    expect(code).toBe(2);
    expect(stderr).toContain('npm run setup');
  });

  it('a buffer larger than the adapter allows: 2, with the tensor and what would fit', async () => {
    const runtime = nodeRuntime();
    const requestAdapter: Runtime['requestAdapter'] = async (choice) => {
      const adapter = await runtime.requestAdapter(choice);
      const requestDevice = adapter.requestDevice.bind(adapter);
      adapter.requestDevice = async (descriptor) => {
        const device = await requestDevice(descriptor);
        const limits = new Proxy(device.limits, {
          get: (target, key) => (key === 'maxBufferSize' ? 100_000 : Reflect.get(target, key, target)),
        });
        Object.defineProperty(device, 'limits', { value: limits });
        return device;
      };
      return adapter;
    };
    const { code, stderr } = await trainWith({}, { requestAdapter });
    expect(code, stderr).toBe(2);
    expect(stderr).toMatch(
      /needs a buffer of [\d.]+ [KM]iB, but this adapter allows 97\.7 KiB per buffer\. Use a smaller/,
    );
  });
});
