/** LoRA on frozen weights of 8 and 4 bits in families whose blocks differ from Llama's. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, it } from 'vitest';
import { writeRandomLlama } from '../../bench/random-llama.ts';
import { expectToLearn, loadQuantized, SIZE } from './quantized-runs.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-quantized-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const FAMILIES = {
  qwen2: { architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2' },
  gemma2: {
    architectures: ['Gemma2ForCausalLM'],
    model_type: 'gemma2',
    head_dim: 16,
    hidden_act: 'gelu_pytorch_tanh',
    query_pre_attn_scalar: 16,
    sliding_window: 4,
  },
} as const;

it.each([
  ['qwen2', 'i8'],
  ['gemma2', 'nf4'],
] as const)('%s learns on weights in %s', async (family, quantize) => {
  const path = join(folder, family);
  await writeRandomLlama(path, SIZE, 'F32', FAMILIES[family]);
  await expectToLearn(await loadQuantized(path, quantize));
});
