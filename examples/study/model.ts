/** The study's model: a Llama of 213,000 parameters from random weights, with a tokenizer of whole words. */
import type { FileSystem } from '../../src/index.ts';
import { writeText } from './files.ts';
import { DAYS, NAMES, NUMBERS, THINGS } from './task.ts';

const WORDS =
  'has gets loses how many so on we add drop to get begins with the answer is in out left . ? + - = , ( ) : ;';
const SPECIAL = ['<unk>', '<s>', '</s>'];

/** Names stand at the beginning of a prompt too, where they have no space before them. */
export function vocabulary(): string[] {
  const words = [...WORDS.split(' '), ...NAMES, ...THINGS, ...DAYS, ...NUMBERS];
  return [...SPECIAL, ...words.map((word) => ` ${word}`), ...NAMES];
}

export const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: vocabulary().length,
  hidden_size: 64,
  intermediate_size: 192,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 4,
  max_position_embeddings: 160,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  hidden_act: 'silu',
  tie_word_embeddings: true,
  initializer_range: 0.06,
  bos_token_id: 1,
  eos_token_id: 2,
  torch_dtype: 'float32',
};

/** Writes config.json and the tokenizer: what `model.init: random` begins with. */
export async function writeModelDirectory(files: FileSystem, directory: string): Promise<void> {
  await files.makeDirectory(directory);
  const json = {
    'config.json': CONFIG,
    'tokenizer.json': tokenizerJson(),
    'tokenizer_config.json': {
      tokenizer_class: 'PreTrainedTokenizerFast',
      bos_token: '<s>',
      eos_token: '</s>',
      unk_token: '<unk>',
      add_bos_token: true,
      add_eos_token: false,
      model_max_length: CONFIG.max_position_embeddings,
      clean_up_tokenization_spaces: false,
    },
  };
  for (const [name, value] of Object.entries(json))
    await writeText(files, `${directory}/${name}`, `${JSON.stringify(value, null, 2)}\n`);
}

/** A token is a word, or a sign, with the space before it. */
function tokenizerJson() {
  return {
    version: '1.0',
    added_tokens: SPECIAL.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: {
      type: 'Split',
      pattern: { Regex: ' ?[a-z]+| ?[^a-z ]' },
      behavior: 'Isolated',
      invert: false,
    },
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [],
      special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
    },
    decoder: { type: 'Fuse' },
    model: {
      type: 'BPE',
      unk_token: '<unk>',
      ignore_merges: true,
      vocab: Object.fromEntries(vocabulary().map((token, id) => [token, id])),
      merges: [],
    },
  };
}
