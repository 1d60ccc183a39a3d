/**
 * Reads a tokenizer from a model directory: tokenizer.json, tokenizer_config.json, and, where they exist,
 * special_tokens_map.json, generation_config.json (further EOS ids) and chat_template.jinja.
 */

import { InputError } from '../errors.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import { isObject, type JsonObject, parseJsonObject, reason } from './json.ts';
import { SpecialStrings, type SpecialToken } from './special-strings.ts';
import { Tokenizer } from './tokenizer.ts';
import { checkTokenizer, checkTokenizerConfig, isTokenId } from './tokenizer-checks.ts';
import { buildVariants, type Variants } from './tokenizer-variants.ts';

/** The part of `FileSystem` that reading data needs. */
export type ReadFiles = Pick<FileSystem, 'open' | 'readText' | 'exists'>;

const ROLES = ['bos_token', 'eos_token', 'unk_token', 'pad_token', 'sep_token', 'cls_token', 'mask_token'];

/**
 * Loads the tokenizer in `directory`.
 * @param template - the chat template in place of the directory's own: Jinja, or the path of a file with it
 * @throws InputError naming the file that is missing or wrong
 */
export async function loadTokenizer(
  files: ReadFiles,
  directory: string,
  template?: string,
): Promise<Tokenizer> {
  const at = (file: string) => `${directory.replace(/\/$/, '')}/${file}`;
  const name = at('tokenizer.json');
  if (!(await files.exists(name))) {
    throw new InputError(
      `${name}: no such file; a model directory needs tokenizer.json ` +
        '(in Python: AutoTokenizer.from_pretrained(...).save_pretrained(directory))',
    );
  }
  const optional = async (file: string) =>
    (await files.exists(at(file))) ? files.readText(at(file)) : undefined;
  const object = async (file: string) => parseJsonObject((await optional(file)) ?? '{}', at(file));
  const text = await files.readText(name);
  const json = parseJsonObject(text, name);
  const config = { ...(await object('special_tokens_map.json')), ...(await object('tokenizer_config.json')) };
  const generation = await object('generation_config.json');
  const ownTemplate = async (): Promise<FoundTemplate> => {
    const text = await optional('chat_template.jinja');
    if (text !== undefined) return { text, name: at('chat_template.jinja') };
    const file = at('tokenizer_config.json');
    return { text: templateOf(config.chat_template, file), name: file };
  };
  const found = template === undefined ? await ownTemplate() : await templateText(files, template);

  checkTokenizer(json, name);
  checkTokenizerConfig(config, ROLES, at('tokenizer_config.json'));
  const namedTokens = namedTokensOf(config);
  const specials = specialTokensOf(json, config, namedTokens);
  const variants = buildVariants(json, config, specials, unknownOf(json, namedTokens), name);
  const bosId = idOf(namedTokens.bos_token, specials);
  return new Tokenizer({
    name,
    variants,
    specials: new SpecialStrings(specials),
    prefix: prefixOf(variants, specials, bosId, config.add_bos_token, name),
    bosId,
    eosIds: eosIdsOf(
      idOf(namedTokens.eos_token, specials),
      generation.eos_token_id,
      at('generation_config.json'),
    ),
    chatTemplate: found.text,
    templateName: found.name,
    namedTokens,
    fingerprintText: JSON.stringify([text, config, found.text ?? null]),
  });
}

/** A chat template, if there is one, and where it stands. */
interface FoundTemplate {
  readonly text: string | undefined;
  readonly name: string;
}

/** Jinja has braces or several lines; anything else is the path of a file. */
async function templateText(files: ReadFiles, template: string): Promise<FoundTemplate> {
  if (/[{\n]/.test(template)) return { text: template, name: 'chat_template' };
  if (await files.exists(template)) return { text: await files.readText(template), name: template };
  throw new InputError(
    `${template}: no such file; a chat template is the path of a Jinja file, or its text with {{ }} in it`,
  );
}

/** A named token is a string or an object with `content`. */
function contentOf(value: unknown): string | undefined {
  const content = isObject(value) ? value.content : value;
  return typeof content === 'string' && content.length > 0 ? content : undefined;
}

function namedTokensOf(config: JsonObject): Record<string, string> {
  const named: Record<string, string> = {};
  for (const role of ROLES) {
    const content = contentOf(config[role]);
    if (content !== undefined) named[role] = content;
  }
  return named;
}

/** The model may name its unknown token only in tokenizer.json; it must stay in the vocabulary. */
function unknownOf(json: JsonObject, named: Record<string, string>): string | undefined {
  return (isObject(json.model) ? contentOf(json.model.unk_token) : undefined) ?? named.unk_token;
}

/** Added tokens flagged special, and those the configuration names, with their ids. */
function specialTokensOf(
  json: JsonObject,
  config: JsonObject,
  named: Record<string, string>,
): SpecialToken[] {
  const names = new Set(Object.values(named));
  if (Array.isArray(config.additional_special_tokens)) {
    for (const value of config.additional_special_tokens) names.add(contentOf(value) ?? '');
  }
  const tokens = new Map<string, SpecialToken>();
  for (const entry of Array.isArray(json.added_tokens) ? json.added_tokens : []) {
    if (!isObject(entry) || typeof entry.id !== 'number' || typeof entry.content !== 'string') continue;
    if (entry.special !== true && !names.has(entry.content)) continue;
    const { id, content } = entry;
    tokens.set(content, { id, content, lstrip: entry.lstrip === true, rstrip: entry.rstrip === true });
  }
  const vocab = isObject(json.model) && isObject(json.model.vocab) ? json.model.vocab : {};
  for (const content of names) {
    const id = Object.hasOwn(vocab, content) ? vocab[content] : undefined;
    if (typeof id === 'number' && !tokens.has(content)) {
      tokens.set(content, { id, content, lstrip: false, rstrip: false });
    }
  }
  return [...tokens.values()];
}

function idOf(content: string | undefined, specials: readonly SpecialToken[]): number | undefined {
  return specials.find((token) => token.content === content)?.id;
}

function eosIdsOf(eosId: number | undefined, generation: unknown, file: string): number[] {
  const more: readonly unknown[] = Array.isArray(generation) ? generation : [generation ?? []].flat();
  const wrong = more.findIndex((id) => !isTokenId(id));
  if (wrong >= 0)
    throw new InputError(`${file}: eos_token_id: ${JSON.stringify(more[wrong])} is no token id`);
  return [...new Set([eosId, ...more].filter(isTokenId))];
}

/** `chat_template` is a source, or a list of named sources of which 'default' is the one for conversations. */
function templateOf(value: unknown, name: string): string | undefined {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return undefined;
  const found = value.find((entry) => isObject(entry) && entry.name === 'default');
  if (isObject(found) && typeof found.template === 'string') return found.template;
  throw new InputError(`${name}: lists chat templates, but none is called 'default'`);
}

/**
 * What the post-processor writes before a text. `add_bos_token` overrules it: false removes the BOS, true adds it
 * where the post-processor has none. What it writes behind a text (EOS, SEP) has no place behind a prompt.
 */
function prefixOf(
  variants: Variants,
  specials: readonly SpecialToken[],
  bosId: number | undefined,
  addBos: unknown,
  name: string,
): number[] {
  const probe = '\uE000';
  const tokens = postProcessed(variants, probe, name);
  const before = tokens.slice(0, tokens.indexOf(probe));
  let ids = before
    .map((token) => idOf(token, specials) ?? variants.start.token_to_id(token))
    .filter((id) => id !== undefined);
  if (addBos === false) ids = ids.filter((id) => id !== bosId);
  if (addBos === true && bosId !== undefined && !ids.includes(bosId)) ids = [bosId, ...ids];
  return ids;
}

/** @throws InputError for a post-processor that the library cannot run */
function postProcessed({ start }: Variants, probe: string, name: string): readonly string[] {
  try {
    return start.post_processor?.([probe], null, true).tokens ?? [probe];
  } catch (error) {
    throw new InputError(`${name}: the post-processor cannot be used (${reason(error)})`);
  }
}
