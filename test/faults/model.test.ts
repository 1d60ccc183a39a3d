/** Models that are damaged in ways their format allows: every command that computes with one refuses it by name. */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli } from '../support/run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-model-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const at = (name: string) => join(folder, name);

/** A copy of the examples' model; `edit` gets the bytes of a file and gives others. */
function model(name: string, file: string, edit: (bytes: Buffer) => Uint8Array | string): string {
  cpSync('examples/stories260K', at(name), { recursive: true });
  const path = join(at(name), file);
  writeFileSync(path, edit(readFileSync(path)));
  return at(name);
}

const config = (path: string) => ({
  model: { path },
  objective: 'simpo',
  data: { train: at('rows.jsonl'), max_length: 96 },
  training: { max_steps: 2, per_device_train_batch_size: 2, save_steps: 1 },
  output_dir: at('run'),
});

beforeAll(() => {
  const rows = readFileSync('examples/quickstart/train.jsonl', 'utf8').split('\n').slice(0, 4);
  writeFileSync(at('rows.jsonl'), rows.join('\n'));
});

/** Every command that computes with the weights of a model. */
function commands(path: string): [name: string, args: string[]][] {
  writeFileSync(at('run.yaml'), JSON.stringify(config(path)));
  const out = ['--out', at('out.jsonl')];
  return [
    ['train', ['train', at('run.yaml')]],
    ['score', ['score', '--model', path, '--data', at('rows.jsonl'), ...out]],
    [
      'generate',
      ['generate', '--model', path, '--prompts', at('rows.jsonl'), '--max-new-tokens', '2', ...out],
    ],
  ];
}

async function expectRefused(path: string, says: RegExp): Promise<void> {
  for (const [name, args] of commands(path)) {
    const { code, stderr } = await cli(...args);
    expect(code, `${name}: ${stderr}`).toBe(2);
    expect(stderr, name).toMatch(says);
    expect([existsSync(at('out.jsonl')), existsSync(join(at('run'), 'model'))]).toEqual([false, false]);
  }
}

describe('is exit 2 under train, score and generate', () => {
  it('a weight that is infinite', () => {
    // The last number of the file: F32, all bits of the exponent set.
    const path = model('infinite', 'model.safetensors', (bytes) => {
      bytes.set([0, 0, 0x80, 0x7f], bytes.length - 4);
      return bytes;
    });
    return expectRefused(path, /infinite: \S+ has values that are not finite; the weights are damaged/);
  });

  it('a tokenizer with an id behind the vocabulary of the model', () => {
    const path = model('beyond', 'tokenizer.json', (bytes) => {
      const tokenizer = JSON.parse(bytes.toString());
      tokenizer.added_tokens.push({ id: 512, content: 'Once', special: false, normalized: false });
      return JSON.stringify(tokenizer);
    });
    return expectRefused(path, /token id 512 \('Once'\) lies outside/);
  });

  it('a configuration with a key that every object has', () => {
    const path = model('prototype', 'config.json', (bytes) =>
      JSON.stringify({ ...JSON.parse(bytes.toString()), constructor: 1, num_hidden_layers: '__proto__' }),
    );
    return expectRefused(path, /config\.json.*num_hidden_layers/s);
  });
});

describe('a run', () => {
  it('does not go on with other base weights under the same path', async () => {
    const path = model('base', 'model.safetensors', (bytes) => bytes);
    writeFileSync(at('run.yaml'), JSON.stringify(config(path)));
    const first = await cli('train', at('run.yaml'));
    expect(first.code, first.stderr).toBe(0);
    const weights = readFileSync(join(path, 'model.safetensors'));
    weights[weights.length - 4] ^= 1;
    writeFileSync(join(path, 'model.safetensors'), weights);
    const args = ['train', at('run.yaml'), '--resume', '--set', 'training.max_steps=3'];
    const { code, stderr } = await cli(...args);
    expect(code).toBe(2);
    expect(stderr).toMatch(/belongs to another run.*\n.*model\.path/);
  });
});
