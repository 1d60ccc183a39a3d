/** The properties that damaged inputs must have, with as many of them as the caller has time for. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseConfig } from '../../src/cli/config-file.ts';
import { ChatTemplate } from '../../src/data/chat-template.ts';
import { loadTokenizer } from '../../src/data/load-tokenizer.ts';
import { prepareDataset } from '../../src/data/prepare.ts';
import type { Tokenizer } from '../../src/data/tokenizer.ts';
import { ModelDirectory } from '../../src/formats/model-directory.ts';
import { PeftAdapter } from '../../src/formats/peft.ts';
import { SafetensorsFile } from '../../src/formats/safetensors.ts';
import { type OutputTensor, writeSafetensors } from '../../src/formats/safetensors-writer.ts';
import { describeModel } from '../../src/models/registry.ts';
import { MemoryFiles } from '../../src/runtime/memory-files.ts';
import { blobSource } from '../../src/runtime/web-sources.ts';
import { readTrainerState } from '../../src/train/trainer-state.ts';
import { accepted, damagedBytes, damagedJson, damagedText } from './mutations.ts';

const MODEL = 'examples/stories260K';
const SEED = 19;
const json = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));

function zeros(name: string, shape: readonly number[]): OutputTensor {
  const bytes = new Uint8Array(4 * shape.reduce((n, d) => n * d, 1));
  return { name, dtype: 'F32', shape, read: () => [bytes] };
}

async function safetensors(...tensors: OutputTensor[]): Promise<Uint8Array<ArrayBuffer>> {
  const files = new MemoryFiles();
  await writeSafetensors(await files.create('weights'), tensors);
  return new Uint8Array(await (await files.blob('weights')).arrayBuffer());
}

const STATE = {
  global_step: 4,
  metrics_offset: 400,
  tensorboard: { file: 'events.out.tfevents.1.host.0', offset: 200 },
  objective_state: { beta: 0.1 },
  kernel_choices: { 'f32/8x8': 'plain' },
  config: { model: { path: 'm' } },
};

const PEFT = {
  peft_type: 'LORA',
  task_type: 'CAUSAL_LM',
  r: 2,
  lora_alpha: 4,
  target_modules: ['q_proj'],
  bias: 'none',
  base_model_name_or_path: 'm',
};

const TEMPLATE =
  "{% for m in messages %}{{ '<s>' + m.role + '\\n' + m.content + '</s>' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<s>assistant\\n' }}{% endif %}";

const ROW = { prompt: 'Once upon', chosen: ' a time.', rejected: ' a cat.', margin: 1, id: 'x' };

const YAML_PIECES = [
  '&a',
  '*a',
  '*',
  '!!binary x',
  '? ',
  '---\n',
  '- ',
  '1e999',
  '.nan',
  '{a: ',
  '<<: *a',
  '\t',
  '|\n',
];
const JINJA_PIECES = [
  '{{',
  '}}',
  '{%',
  '%}',
  '{% endfor %}',
  '[0]',
  '.x',
  '| x',
  ' + 1',
  "'",
  '{% set a = a %}',
];

function expectIds(tokenizer: Tokenizer, ids: ArrayLike<number>): void {
  for (const id of Array.from(ids)) {
    expect(Number.isInteger(id)).toBe(true);
    expect(id).toBeGreaterThanOrEqual(0);
    expect(id).toBeLessThan(tokenizer.vocabSize);
  }
}

/** @param runs inputs of every kind */
export function checkCorpus(runs: number): void {
  const check = <T>(arbitrary: fc.Arbitrary<T>, property: (input: T) => Promise<void>) =>
    fc.assert(fc.asyncProperty(arbitrary, property), { numRuns: runs, seed: SEED });

  it('config.json', () =>
    check(damagedJson(json(`${MODEL}/config.json`)), async (value) => {
      const files = new MemoryFiles();
      files.add('m/config.json', JSON.stringify(value));
      files.add('m/model.safetensors', await safetensors(zeros('a', [1])));
      const found = await accepted('m/config.json', async () => {
        const directory = await ModelDirectory.open(files, 'm');
        return describeModel(directory.config, 'm/config.json');
      });
      if (found === undefined) return;
      const { config, weights } = found;
      expect(weights.length).toBeGreaterThanOrEqual(config.layers);
      expect(config).toMatchObject({ layers: (value as Record<string, unknown>).num_hidden_layers });
      for (const { shape } of weights) for (const size of shape) expect(Number.isInteger(size)).toBe(true);
    }));

  it('safetensors: bits and length', async () => {
    const whole = await safetensors(zeros('model.a', [2, 3]), zeros('model.b', [4]));
    await check(damagedBytes(whole), async (bytes) => {
      const file = await accepted('w', () => SafetensorsFile.open(blobSource(new Blob([bytes]), 'w')));
      for (const { name, byteLength } of file?.entries.values() ?? [])
        expect((await file?.readTensor(name))?.length).toBe(byteLength);
    });
  });

  it('safetensors: header', async () => {
    const header = {
      a: { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] },
      b: { dtype: 'F32', shape: [1], data_offsets: [24, 28] },
    };
    await check(
      damagedText(JSON.stringify(header), ['-', '1e9', 'null', '"a"', '999', ',']),
      async (text) => {
        const encoded = new TextEncoder().encode(text);
        const bytes = new Uint8Array(8 + encoded.length + 28);
        new DataView(bytes.buffer).setBigUint64(0, BigInt(encoded.length), true);
        bytes.set(encoded, 8);
        const file = await accepted('w', () => SafetensorsFile.open(blobSource(new Blob([bytes]), 'w')));
        const sizes = [...(file?.entries.values() ?? [])].map(({ byteLength }) => byteLength);
        if (file !== undefined) expect(sizes.reduce((a, b) => a + b, 0)).toBe(28);
      },
    );
  });

  it('index of shards', () =>
    check(damagedJson({ metadata: { total_size: 4 }, weight_map: { a: 's.safetensors' } }), async (value) => {
      const files = new MemoryFiles();
      files.add('m/config.json', '{}');
      files.add('m/s.safetensors', await safetensors(zeros('a', [1])));
      files.add('m/model.safetensors.index.json', JSON.stringify(value));
      const directory = await accepted('m/model.safetensors.index.json', () =>
        ModelDirectory.open(files, 'm'),
      );
      for (const name of directory?.tensors.keys() ?? []) expect(name).toBe('a');
    }));

  it('adapters', () =>
    check(damagedJson(PEFT), async (value) => {
      const files = new MemoryFiles();
      const name = 'base_model.model.model.layers.0.self_attn.q_proj';
      files.add('a/adapter_config.json', JSON.stringify(value));
      const pair = [zeros(`${name}.lora_A.weight`, [2, 8]), zeros(`${name}.lora_B.weight`, [8, 2])];
      files.add('a/adapter_model.safetensors', await safetensors(...pair));
      const adapter = await accepted('a/adapter', () => PeftAdapter.open(files, 'a'));
      if (adapter === undefined) return;
      expect(adapter.config.r).toBe(2);
      expect(Number.isFinite(adapter.config.alpha)).toBe(true);
    }));

  it('tokenizer.json', async () => {
    // Its vocabulary is cut to what damage shall hit.
    const whole = json(`${MODEL}/tokenizer.json`) as { model: { merges: unknown[] } };
    const small = { ...whole, model: { ...whole.model, merges: whole.model.merges.slice(0, 20) } };
    await check(damagedJson(small), async (value) => {
      const files = new MemoryFiles();
      files.add('m/tokenizer.json', JSON.stringify(value));
      const tokenizer = await accepted('m/tokenizer.json', () => loadTokenizer(files, 'm'));
      const ids =
        tokenizer &&
        (await accepted('m/tokenizer.json', () => tokenizer.encodePrompt('Once upon a time <s>')));
      if (tokenizer !== undefined && ids !== undefined) expectIds(tokenizer, ids);
    });
  });

  it('chat templates', async () => {
    const files = new MemoryFiles();
    files.add('m/tokenizer.json', readFileSync(`${MODEL}/tokenizer.json`, 'utf8'));
    const where = { file: 'rows.jsonl', line: 3 };
    await check(damagedText(TEMPLATE, JINJA_PIECES), async (text) => {
      const tokenizer = await accepted('{', () => loadTokenizer(files, 'm', `{#\n#}${text}`));
      const template = tokenizer && (await accepted('chat_template: ', () => new ChatTemplate(tokenizer)));
      const turns = [{ role: 'user', content: 'Hello' }];
      const answer = [{ role: 'assistant', content: 'Hi' }];
      const chat =
        template && (await accepted('rows.jsonl:3', () => template.encode(turns, [answer], where)));
      if (tokenizer !== undefined && chat !== undefined) expectIds(tokenizer, chat.promptIds);
    });
  });

  it('rows', async () => {
    const tokenizerFiles = new MemoryFiles();
    tokenizerFiles.add('m/tokenizer.json', readFileSync(`${MODEL}/tokenizer.json`, 'utf8'));
    tokenizerFiles.add('m/tokenizer_config.json', readFileSync(`${MODEL}/tokenizer_config.json`, 'utf8'));
    const tokenizer = await loadTokenizer(tokenizerFiles, 'm');
    const line = JSON.stringify(ROW);
    const damaged = fc.oneof(
      damagedJson(ROW).map((row) => JSON.stringify(row) ?? ''),
      damagedText(line, ['null', '\n', ',']),
    );
    await check(damaged, async (text) => {
      const files = new MemoryFiles();
      files.add('rows.jsonl', `${line}\n${text}\n`);
      const options = { files, path: 'rows.jsonl', tokenizer, modelVocabSize: 512, maxLength: 64 };
      const data = await accepted('rows.jsonl', () => prepareDataset(options));
      for (const { promptIds } of data?.examples ?? []) expectIds(tokenizer, promptIds);
    });
  });

  it('YAML', async () => {
    const text = readFileSync('examples/quickstart.yaml', 'utf8');
    await check(damagedText(text, YAML_PIECES), async (damaged) => {
      const loaded = await accepted('run.yaml', () => parseConfig(damaged, 'run.yaml'));
      if (loaded !== undefined) expect(loaded.config.output_dir.length).toBeGreaterThan(0);
    });
  });

  it('trainer_state.json', () =>
    check(damagedJson(STATE), async (value) => {
      const files = new MemoryFiles();
      const path = 'run/checkpoint-4/trainer_state.json';
      files.add(path, JSON.stringify(value));
      const state = await accepted(path, () => readTrainerState(files, 'run/checkpoint-4'));
      if (state === undefined) return;
      expect(state.global_step).toBe(4);
      expect(state.tensorboard.file).not.toMatch(/[\\/]/);
    }));
}
