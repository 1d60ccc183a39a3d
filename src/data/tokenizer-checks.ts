/** What in a tokenizer.json would harm whoever uses it: ids that are none, and normalizers that multiply a text. */
import { InputError } from '../errors.ts';
import { isObject, type JsonObject } from './json.ts';

/** Ids go to the GPU as 32-bit numbers. */
const MOST_ID = 2 ** 31 - 1;
/** Real normalizers replace a character by one or two. */
const MOST_GROWTH = 64;

export function isTokenId(id: unknown): id is number {
  return typeof id === 'number' && Number.isInteger(id) && id >= 0 && id <= MOST_ID;
}

/** @throws InputError naming the token or the normalizer */
export function checkTokenizer({ model, added_tokens: added, normalizer }: JsonObject, name: string): void {
  const vocab = isObject(model) && isObject(model.vocab) ? model.vocab : {};
  for (const [token, id] of Object.entries(vocab)) if (!isTokenId(id)) throw noId(name, token, id);
  for (const entry of Array.isArray(added) ? added : [])
    if (isObject(entry) && !isTokenId(entry.id)) throw noId(name, entry.content, entry.id);
  const growth = growthOf(normalizer);
  if (growth > MOST_GROWTH)
    throw new InputError(
      `${name}: the normalizer makes a text ${growth.toPrecision(3)} times as long; use the tokenizer.json of a model that you trust`,
    );
}

function noId(name: string, token: unknown, id: unknown): InputError {
  return new InputError(
    `${name}: the token ${JSON.stringify(token)} has the id ${JSON.stringify(id)}, which is no token id`,
  );
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
