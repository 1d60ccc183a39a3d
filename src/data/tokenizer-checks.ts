/**
 * What in a tokenizer.json would harm whoever uses it: ids that are none, normalizers that multiply a text, and what the
 * library would pass over in silence, where Hugging Face's own reader refuses it.
 */
import { InputError } from '../errors.ts';
import { isObject, type JsonObject } from './json.ts';

/** Ids go to the GPU as 32-bit numbers. */
const MOST_ID = 2 ** 31 - 1;
/** Real normalizers replace a character by one or two. */
const MOST_GROWTH = 64;

export function isTokenId(id: unknown): id is number {
  return typeof id === 'number' && Number.isInteger(id) && id >= 0 && id <= MOST_ID;
}

/** @throws InputError naming the token, the merge or the component */
export function checkTokenizer(json: JsonObject, name: string): void {
  const { model, added_tokens: added, normalizer } = json;
  const vocab = isObject(model) && isObject(model.vocab) ? model.vocab : {};
  for (const [token, id] of Object.entries(vocab)) if (!isTokenId(id)) throw noId(name, token, id);
  for (const entry of Array.isArray(added) ? added : []) {
    if (!isObject(entry) || typeof entry.content !== 'string')
      throw new InputError(`${name}: added_tokens: ${shown(entry)} has no content that is text`);
    if (!isTokenId(entry.id)) throw noId(name, entry.content, entry.id);
  }
  if (isObject(model)) checkMerges(model, vocab, name);
  for (const key of COMPONENTS) checkComponent(json[key] ?? null, `${name}: ${key}`);
  const growth = growthOf(normalizer);
  if (growth > MOST_GROWTH)
    throw new InputError(
      `${name}: the normalizer makes a text ${growth.toPrecision(3)} times as long; use the tokenizer.json of a model that you trust`,
    );
}

function noId(name: string, token: unknown, id: unknown): InputError {
  return new InputError(`${name}: the token ${shown(token)} has the id ${shown(id)}, which is no token id`);
}

/** By how much replacements may lengthen a text, one after the other. */
function growthOf(node: unknown): number {
  if (!isObject(node)) return 1;
  if (Array.isArray(node.normalizers))
    return node.normalizers.map(growthOf).reduce((product, growth) => product * growth, 1);
  if (node.type !== 'Replace' || typeof node.content !== 'string') return 1;
  const literal = isObject(node.pattern) ? node.pattern.String : undefined;
  // A regular expression matches one character, or none between every two.
  const matched = typeof literal === 'string' && literal.length > 0 ? literal.length : 1;
  const added = typeof literal === 'string' && literal.length > 0 ? 0 : 1;
  return Math.max(1, node.content.length / matched + (node.content.length > 1 ? added : 0));
}

const COMPONENTS = ['normalizer', 'pre_tokenizer', 'post_processor', 'decoder'];
const SEQUENCES = ['normalizers', 'pretokenizers', 'processors', 'decoders'];
const BEHAVIORS = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'];

/** @param where - file and key, for messages */
function checkComponent(node: unknown, where: string): void {
  if (node === null) return;
  if (!isObject(node) || typeof node.type !== 'string')
    throw new InputError(`${where}: ${shown(node)} has no type; expected null or {"type": ...}`);
  const { type, pattern, behavior } = node;
  for (const key of SEQUENCES) {
    const parts = node[key];
    if (type !== 'Sequence' || parts === undefined) continue;
    if (!Array.isArray(parts)) throw new InputError(`${where}: ${key} is ${shown(parts)}, not a list`);
    for (const [i, part] of parts.entries()) checkComponent(part, `${where}.${key}.${i}`);
  }
  const hasPattern = type === 'Replace' || type === 'Split';
  if (hasPattern && !isPattern(pattern))
    throw new InputError(
      `${where}: the pattern of ${type} is ${shown(pattern)}; expected {"String"|"Regex": TEXT}`,
    );
  if (type === 'Replace' && typeof node.content !== 'string')
    throw new InputError(`${where}: the content of Replace is ${shown(node.content)}, not text`);
  if (type === 'Split' && !BEHAVIORS.includes(String(behavior)))
    throw new InputError(`${where}: behavior is ${shown(behavior)}; expected one of ${BEHAVIORS.join(', ')}`);
}

function isPattern(pattern: unknown): boolean {
  return (
    isObject(pattern) && [pattern.String, pattern.Regex].filter((p) => typeof p === 'string').length === 1
  );
}

/** BPE joins pieces of the vocabulary to pieces of the vocabulary. */
function checkMerges(model: JsonObject, vocab: JsonObject, name: string): void {
  const { merges, continuing_subword_prefix: prefix } = model;
  if (merges === undefined || model.type === 'Unigram') return;
  if (!Array.isArray(merges)) throw new InputError(`${name}: model.merges is ${shown(merges)}, not a list`);
  const skipped = typeof prefix === 'string' ? prefix.length : 0;
  for (const [i, merge] of merges.entries()) {
    const pair: unknown[] = typeof merge === 'string' ? merge.split(' ') : Array.isArray(merge) ? merge : [];
    const [left, right] = pair;
    if (pair.length !== 2 || typeof left !== 'string' || typeof right !== 'string')
      throw new InputError(`${name}: model.merges.${i} is ${shown(merge)}, which is no pair of pieces`);
    for (const piece of [left, right, left + right.slice(skipped)])
      if (!Object.hasOwn(vocab, piece))
        throw new InputError(
          `${name}: model.merges.${i} needs ${shown(piece)}, which is not in the vocabulary`,
        );
  }
}

/** @throws InputError where a setting of tokenizer_config.json or special_tokens_map.json has a wrong type */
export function checkTokenizerConfig(config: JsonObject, roles: readonly string[], name: string): void {
  for (const role of roles) {
    const token = config[role] ?? null;
    if (token !== null && typeof (isObject(token) ? token.content : token) !== 'string')
      throw new InputError(`${name}: ${role} is ${shown(token)}; expected text, or {"content": TEXT}`);
  }
  for (const key of ['add_bos_token', 'add_eos_token']) {
    const value = config[key] ?? null;
    if (value !== null && typeof value !== 'boolean')
      throw new InputError(`${name}: ${key} is ${shown(value)}; expected true or false`);
  }
  const template = config.chat_template ?? null;
  if (template !== null && typeof template !== 'string' && !Array.isArray(template))
    throw new InputError(
      `${name}: chat_template is ${shown(template)}; expected text, or a list of templates`,
    );
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing';
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
