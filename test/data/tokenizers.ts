/**
 * The tokenizers tests use: stories260K (SentencePiece style), the Llama-3-style fixture (byte level), and edits of them.
 */

import { readFileSync } from 'node:fs';
import { loadTokenizer } from '../../src/data/load-tokenizer.ts';
import type { Tokenizer } from '../../src/data/tokenizer.ts';
import { memoryFiles } from './memory-files.ts';

type Json = Record<string, unknown>;

export const STORIES = new URL('../../examples/stories260K/', import.meta.url);
export const LLAMA3 = new URL('../fixtures/llama3-style/', import.meta.url);

/** A tokenizer from disk, after `edit` changed its two files (and added others). */
export async function tokenizerFrom(
  folder: URL,
  edit: (json: Json, config: Json, files: Record<string, string>) => void = () => {},
): Promise<Tokenizer> {
  const read = (name: string): Json => JSON.parse(readFileSync(new URL(name, folder), 'utf8'));
  const json = read('tokenizer.json');
  const config = read('tokenizer_config.json');
  const more: Record<string, string> = {};
  edit(json, config, more);
  return loadTokenizer(
    memoryFiles({
      ...more,
      'm/tokenizer.json': JSON.stringify(json),
      'm/tokenizer_config.json': JSON.stringify(config),
    }),
    'm',
  );
}

/** ChatML as its users write it, with the markers as plain text where the tokenizer has no such tokens. */
export const CHATML =
  "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
