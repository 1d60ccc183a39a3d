/**
 * docs/pipelines.md, section by section and line by line, from names on the hub to trained models. What a reader would bring is
 * on loopback and small: a hub that has the model of the examples under the names of the large ones, an editor that is a program,
 * a reward model of ArmoRM's form with random weights, and a stub of PairRM's Python package.
 */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { writeDirectory } from '../../src/formats/directory-writer.ts';
import { type OutputTensor, safetensorsFile } from '../../src/formats/safetensors-writer.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { type HubServer, serveHub } from '../support/hub-server.ts';
import { type LlmCall, type LlmServer, llmServer } from '../support/llm-server.ts';
import { parquetOf } from '../support/parquet.ts';
import { FreshCopy } from './fresh-copy.ts';
import { BLOCKS, commandsOf } from './pages.ts';

const PAGE = 'docs/pipelines.md';
const STORIES = 'examples/stories260K';
const MODEL_FILES = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];
/** Llama 3's headers, at the last of which ArmoRM's gates look. */
const TEMPLATE =
  "{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content + '<|eot_id|>' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}";

/** What keeps a line short; everything that is typed stays as it is. */
const SMALLER = {
  train:
    '--set training.max_steps=1 --set training.per_device_train_batch_size=2 --set training.gradient_accumulation_steps=1 ' +
    '--set data.max_rows=4 --set data.max_length=480 --set data.max_prompt_length=240',
  rollout: '--max-tokens 8 --max-rows 3',
  'own-output': '--max-tokens 16 --max-rows 4',
  bridge: '--max-rows 4',
  weigh: '--max-rows 4',
};

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-pipelines-'));
let hub: HubServer;
let editor: LlmServer;

beforeAll(async () => {
  const stories = Object.fromEntries(MODEL_FILES.map((name) => [name, readFileSync(`${STORIES}/${name}`)]));
  const instruct = { ...stories, 'chat_template.jinja': TEMPLATE };
  const prompts = ['Once upon a time', 'Tom had a red ball', 'The little dog', 'One day, Lily'];
  const message = (role: string, content: string) => ({ content, role });
  const feedback = prompts.map((prompt) => {
    const conversation = (answer: string) => [message('user', prompt), message('assistant', answer)];
    return {
      prompt,
      chosen: conversation(' and a cat sat in the sun all day'),
      rejected: conversation(' or a dog ran in the rain all night'),
    };
  });
  const maths = prompts.map((query) => ({ query, response: ' and then they all went home to eat cake' }));
  const split = async (rows: Parameters<typeof parquetOf>[0]) => await parquetOf(rows);
  hub = await serveHub({
    'models/meta-llama/Llama-2-7b-hf': stories,
    'models/meta-llama/Meta-Llama-3-8B-Instruct': instruct,
    'models/princeton-nlp/Llama-3-Base-8B-SFT': instruct,
    'datasets/meta-math/MetaMathQA': { 'MetaMathQA-395K.json': JSON.stringify(maths) },
    'datasets/HuggingFaceH4/ultrafeedback_binarized': {
      'data/train_prefs-00000-of-00001.parquet': await split(feedback),
    },
    'datasets/princeton-nlp/llama3-ultrafeedback': {
      'data/test-00000-of-00001.parquet': await split(feedback),
    },
  });
  editor = await llmServer(edit);
  vi.stubEnv('HF_ENDPOINT', hub.endpoint);
  vi.stubEnv('HF_HUB_CACHE', join(folder, 'hub'));
  vi.stubEnv('HF_HUB_OFFLINE', '');
  vi.stubEnv('HF_TOKEN', '');
  vi.stubEnv('XDG_CACHE_HOME', join(folder, 'cache'));
  vi.stubEnv('PYTHONPATH', join(folder, 'python'));
  mkdirSync(join(folder, 'python'));
  writeFileSync(
    join(folder, 'python/llm_blender.py'),
    `class Blender:
    def loadranker(self, name):
        assert name == "llm-blender/PairRM"
        print("loading")

    def rank(self, inputs, candidates, return_scores, batch_size, disable_tqdm):
        return [[float(sum(map(ord, text))) for text in texts] for texts in candidates]
`,
  );
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await hub.close();
  await editor.close();
  rmSync(folder, { recursive: true, force: true });
});

/** An edit that changes the last word for the reference's, or for `weigh` the first word as a passage. */
function edit({ body }: LlmCall): string {
  const text = (body.messages as { content: string }[]).at(-1)?.content ?? '';
  if (text.includes('copied exactly')) {
    const answer = /\n# Answer\n(.*?)\n\n# (?:Worse|Better) answer/s.exec(text)?.[1] ?? '';
    return JSON.stringify([{ text: answer.trim().split(' ')[0], score: 2 }]);
  }
  const parts =
    /# (?:Reference solution|Better answer)\n(.*?)\n\n# (?:Student's solution|Weaker answer)\n(.*)$/s;
  const [, reference = '', answer = ''] = parts.exec(text) ?? [];
  const last = reference.trim().split(' ').at(-1);
  return `<edited>${answer
    .trimEnd()
    .split(' ')
    .slice(0, -1)
    .concat(last ?? '')
    .join(' ')}</edited>`;
}

/** What the reader has beside the repository. */
async function bring(copy: FreshCopy): Promise<void> {
  const at = (name: string) => join(copy.folder, name);
  mkdirSync(at('data'));
  writeFileSync(
    at('editor.yaml'),
    `base_url: ${editor.url}\nmodel: editor\nprices: {input: 10, output: 30, currency: USD}\n`,
  );
  await writeRewardModel(at('models/ArmoRM-Llama3-8B-v0.1'));
}

/** The examples' model under a gated head, of which every weight is a sine. */
async function writeRewardModel(path: string): Promise<void> {
  const tensor = (name: string, ...shape: number[]): OutputTensor => {
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) =>
      Math.sin(i + name.length),
    );
    return { name, shape, dtype: 'F32', read: () => [new Uint8Array(values.buffer)] };
  };
  const head = [
    tensor('regression_layer.weight', 5, 64),
    tensor('reward_transform_matrix', 5, 5),
    tensor('gating.layers.0.weight', 5, 64),
    tensor('gating.logit_scale', 1),
  ];
  await writeDirectory(nodeRuntime().files, path, [safetensorsFile('head.safetensors', head)]);
  copyFileSync(`${STORIES}/model.safetensors`, join(path, 'layers.safetensors'));
  copyFileSync(`${STORIES}/tokenizer_config.json`, join(path, 'tokenizer_config.json'));
  writeFileSync(join(path, 'tokenizer.json'), JSON.stringify(withHeaders()));
  const layers = readFileSync(join(path, 'layers.safetensors'));
  const names = Object.keys(JSON.parse(layers.subarray(8, 8 + Number(layers.readBigUInt64LE())).toString()));
  const where = [
    ...names.filter((name) => name !== '__metadata__').map((name) => [name, 'layers.safetensors']),
    ...head.map(({ name }) => [name, 'head.safetensors']),
  ];
  writeFileSync(
    join(path, 'model.safetensors.index.json'),
    JSON.stringify({ weight_map: Object.fromEntries(where) }),
  );
  const config = JSON.parse(readFileSync(`${STORIES}/config.json`, 'utf8')) as object;
  const changed = { ...config, architectures: ['LlamaForRewardModelWithGating'], gating_temperature: 10 };
  writeFileSync(join(path, 'config.json'), JSON.stringify(changed));
  writeFileSync(join(path, 'chat_template.jinja'), TEMPLATE);
}

/** The examples' tokenizer with Llama 3's headers as special tokens, in the places of control characters. */
function withHeaders(): object {
  const tokenizer = JSON.parse(readFileSync(`${STORIES}/tokenizer.json`, 'utf8'));
  for (const [i, content] of ['<|start_header_id|>', '<|end_header_id|>', '<|eot_id|>'].entries()) {
    const byte = `<0x0${i + 1}>`;
    const id = tokenizer.model.vocab[byte];
    delete tokenizer.model.vocab[byte];
    tokenizer.model.vocab[content] = id;
    tokenizer.added_tokens.push({ id, content, special: true, normalized: false });
  }
  return tokenizer;
}

/** The blocks of shell of each section that has some. */
function sections() {
  const lines = readFileSync(PAGE, 'utf8').split('\n');
  const heads = lines.flatMap((line, i) =>
    line.startsWith('## ') ? [{ title: line.slice(3), at: i + 1 }] : [],
  );
  return heads
    .map(({ title, at }, i) => ({
      title,
      blocks: BLOCKS.filter(
        ({ page, language, line }) =>
          page === PAGE &&
          language === 'sh' &&
          line > at &&
          line < (heads[i + 1]?.at ?? Number.POSITIVE_INFINITY),
      ),
    }))
    .filter(({ blocks }) => blocks.length > 0);
}

describe(PAGE, () => {
  it('has the sections of the papers', () => {
    expect(sections().map(({ title }) => title.split(':')[0])).toEqual([
      'BMC',
      'MIPO',
      'epsilon-DPO',
      'A small trial',
    ]);
  });

  it.each(sections())('$title, from its first line to its last', async ({ blocks }) => {
    const copy = new FreshCopy(SMALLER);
    try {
      await bring(copy);
      for (const block of blocks) for (const command of commandsOf(block)) await copy.run(command);
    } finally {
      await copy.close();
    }
  });
});
