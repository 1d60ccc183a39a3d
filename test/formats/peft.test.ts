import { describe, expect, it } from 'vitest';
import { jsonFile, type OutputFile } from '../../src/formats/output-file.ts';
import { adapterFiles, PeftAdapter } from '../../src/formats/peft.ts';
import { SafetensorsFile } from '../../src/formats/safetensors.ts';
import { safetensorsFile } from '../../src/formats/safetensors-writer.ts';
import { randomTensor, seededRandom, written } from './samples.ts';

const random = seededRandom(21);
const lora = (module: string, half: 'A' | 'B', shape: number[]) =>
  randomTensor({ name: `model.layers.0.${module}.lora_${half}.weight`, dtype: 'F32', shape }, random);
const tensors = [
  lora('self_attn.q_proj', 'A', [2, 6]),
  lora('self_attn.q_proj', 'B', [4, 2]),
  lora('mlp.down_proj', 'A', [2, 5]),
  lora('mlp.down_proj', 'B', [6, 2]),
];
const config = { r: 2, alpha: 8, targetModules: ['q_proj', 'down_proj'], baseModel: 'models/tiny' };

describe('an adapter', () => {
  it('is read back', async () => {
    const files = await written('out', adapterFiles(config, tensors));
    const adapter = await PeftAdapter.open(files, 'out');
    expect(adapter.config).toEqual({ ...config, targetModules: ['down_proj', 'q_proj'] });
    expect([...adapter.tensors.keys()]).toEqual(tensors.map((t) => t.name));
    for (const { name, shape, bytes } of tensors) {
      expect(adapter.tensors.get(name)?.shape).toEqual(shape);
      expect(await adapter.readTensor(name)).toEqual(bytes);
      expect(await adapter.readRange(name, 4, 8)).toEqual(bytes.slice(4, 12));
    }
    await adapter.close();
  });

  it('has the names and the fields of peft', async () => {
    const files = await written('out', adapterFiles(config, tensors));
    expect(await files.list('out')).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
    const file = await SafetensorsFile.open(await files.open('out/adapter_model.safetensors'));
    expect([...file.entries.keys()][0]).toBe(
      'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight',
    );
    expect(JSON.parse(await files.readText('out/adapter_config.json'))).toMatchObject({
      peft_type: 'LORA',
      task_type: 'CAUSAL_LM',
      r: 2,
      lora_alpha: 8,
      lora_dropout: 0,
      bias: 'none',
      base_model_name_or_path: 'models/tiny',
      target_modules: ['down_proj', 'q_proj'],
      modules_to_save: null,
      inference_mode: true,
    });
  });
});

describe('an option that we do not support is refused by name', () => {
  const plain = { peft_type: 'LORA', r: 2, lora_alpha: 8, bias: 'none', task_type: 'CAUSAL_LM' };
  const open = async (changes: Record<string, unknown>) => {
    const weights = adapterFiles(config, tensors)[1];
    const files = await written('a', [jsonFile('adapter_config.json', { ...plain, ...changes }), weights]);
    return PeftAdapter.open(files, 'a');
  };

  it.each<[Record<string, unknown>, string]>([
    [{ use_dora: true }, 'use_dora: true is not supported'],
    [{ use_rslora: true }, 'use_rslora: true'],
    [{ modules_to_save: ['lm_head'] }, 'modules_to_save: ["lm_head"]'],
    [{ rank_pattern: { q_proj: 4 } }, 'rank_pattern: {"q_proj":4}'],
    [{ alpha_pattern: { q_proj: 4 } }, 'alpha_pattern'],
    [{ bias: 'all' }, 'bias: "all" is not supported, only "none"'],
    [{ peft_type: 'IA3' }, 'peft_type: "IA3" is not supported, only "LORA"'],
    [{ peft_type: undefined }, 'peft_type: missing'],
    [{ task_type: 'SEQ_CLS' }, 'task_type: "SEQ_CLS"'],
    [{ init_lora_weights: 'pissa' }, 'init_lora_weights: "pissa"'],
    [{ some_future_option: 3 }, 'some_future_option: 3'],
    [{ r: 0 }, 'r: 0 is no rank'],
    [{ lora_alpha: '8' }, 'lora_alpha: "8" is not a positive number'],
  ])('%o', async (changes, text) => {
    await expect(open(changes)).rejects.toThrow(`a/adapter_config.json describes an adapter we cannot read`);
    await expect(open(changes)).rejects.toThrow(text);
  });

  it('but not one that is switched off or has no effect', async () => {
    const harmless = {
      some_future_option: null,
      use_qalora: false,
      loftq_config: {},
      peft_version: '0.18.0',
    };
    const adapter = await open({ ...harmless, target_modules: '.*q_proj', lora_dropout: 0.1 });
    expect(adapter.config.targetModules).toEqual(['down_proj', 'q_proj']);
  });
});

describe('weights that are no LoRA pairs are refused by name', () => {
  const weights = (...list: typeof tensors): OutputFile =>
    safetensorsFile(
      'adapter_model.safetensors',
      list.map((t) => ({ ...t, name: `base_model.model.${t.name}`, read: () => [t.bytes] })),
    );
  const open = async (...contents: OutputFile[]) => PeftAdapter.open(await written('a', contents), 'a');
  const [configFile] = adapterFiles(config, tensors);

  it.each<[string, OutputFile[], string]>([
    ['no config', [], 'a: there is no adapter_config.json'],
    ['no weights', [configFile], 'a: there is no adapter_model.safetensors'],
    ['nothing', [configFile, weights()], 'holds no tensors'],
    ['a half', [configFile, weights(tensors[0])], 'q_proj: has lora_A, but not its other half'],
    [
      'another rank',
      [configFile, weights(lora('q', 'A', [3, 6]), lora('q', 'B', [4, 3]))],
      'q.lora_A.weight: has shape [3, 6], but r = 2 asks for [2, in]',
    ],
    [
      'an adapted embedding',
      [configFile, weights({ ...tensors[0], name: 'model.embed_tokens.lora_embedding_A' })],
      'lora_embedding_A: is no LoRA weight',
    ],
  ])('%s', async (_, contents, text) => {
    await expect(open(...contents)).rejects.toThrow(text);
  });

  it('also when they are about to be written', () => {
    expect(() => adapterFiles({ ...config, r: 4 }, tensors)).toThrow('r = 4 asks for [4, in]');
  });
});
