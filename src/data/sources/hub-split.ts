/**
 * The files of a data set on the hub: what its card declares under `configs`, else what their names say.
 * Subset and split are the hub's words; a subset is also called a configuration.
 */
import { InputError } from '../../errors.ts';
import { type HubRepo, hubPathText } from '../../runtime/hub/path.ts';
import { isObject, type JsonObject } from '../json.ts';
import type { ReadFiles } from '../load-tokenizer.ts';
import { glob, type Listing } from './glob.ts';

export type RepoFiles = ReadFiles & Listing;

/** Kinds of files that hold rows, the ones to prefer first. */
const KINDS = [/\.parquet$/, /\.jsonl(\.gz|\.zst)?$/, /\.json(\.gz|\.zst)?$/] as const;
const DEFAULT_SPLIT = 'train';

/**
 * @param wanted - 'SUBSET/SPLIT', 'SPLIT' (or the only 'SUBSET'), or '' for the training split
 * @returns paths of its files, in order
 * @throws InputError with the files there are, where none is of this split
 */
export async function splitFiles(files: RepoFiles, repo: HubRepo, wanted: string): Promise<string[]> {
  const root = hubPathText(repo);
  const slash = wanted.lastIndexOf('/');
  const choices: [subset: string | undefined, split: string][] =
    slash >= 0
      ? [[wanted.slice(0, slash), wanted.slice(slash + 1)]]
      : wanted === ''
        ? [[undefined, DEFAULT_SPLIT]]
        : [
            [undefined, wanted],
            [wanted, DEFAULT_SPLIT],
          ];
  const declared = await declaredConfigs(files, root);
  const all = await dataFiles(files, root);
  for (const [subset, split] of choices) {
    const found =
      declared === undefined
        ? named(root, all, subset, split)
        : await ofConfig(files, root, declared, subset, split);
    if (found.length > 0) return found;
  }
  const known =
    declared === undefined
      ? all.slice(0, 12).join(', ')
      : declared
          .flatMap((config) => splitsOf(config).map(({ split }) => `${nameOf(config)}/${split}`))
          .join(', ');
  throw new InputError(
    `${root}:${wanted || DEFAULT_SPLIT}: there is no such split; it has ${known || 'no rows in Parquet or JSON'}. ` +
      'Write hf:OWNER/NAME:SUBSET/SPLIT, or name a file with hf:OWNER/NAME/PATH',
  );
}

/** `configs` of the card's front matter. */
async function declaredConfigs(files: RepoFiles, root: string): Promise<JsonObject[] | undefined> {
  const card = `${root}/README.md`;
  if (!(await files.exists(card))) return undefined;
  const [, header] = /^---\r?\n([\s\S]*?)\r?\n---/.exec(await files.readText(card)) ?? [];
  if (header === undefined) return undefined;
  // A page that reads no hub does not load a YAML reader.
  const { parse } = await import('yaml');
  let parsed: unknown;
  try {
    parsed = parse(header);
  } catch {
    return undefined;
  }
  const configs = isObject(parsed) && Array.isArray(parsed.configs) ? parsed.configs.filter(isObject) : [];
  const usable = configs.filter((config) => splitsOf(config).length > 0);
  return usable.length > 0 ? usable : undefined;
}

async function ofConfig(
  files: RepoFiles,
  root: string,
  configs: readonly JsonObject[],
  subset: string | undefined,
  split: string,
): Promise<string[]> {
  const isDefault = (config: JsonObject) => config.default === true || nameOf(config) === 'default';
  const config =
    subset === undefined
      ? (configs.find(isDefault) ?? configs[0])
      : configs.find((candidate) => nameOf(candidate) === subset);
  if (config === undefined) return [];
  const folder = typeof config.data_dir === 'string' ? `${root}/${config.data_dir}` : root;
  const found: string[] = [];
  for (const { patterns } of splitsOf(config).filter((entry) => entry.split === split)) {
    for (const pattern of patterns) found.push(...(await glob(files, `${folder}/${pattern}`)));
  }
  return found;
}

function nameOf(config: JsonObject): string {
  return typeof config.config_name === 'string' ? config.config_name : 'default';
}

/** `data_files` is a pattern or several, all of them training data, or a list of {split, path}. */
function splitsOf({ data_files }: JsonObject): { split: string; patterns: string[] }[] {
  const texts = (value: unknown): string[] =>
    (Array.isArray(value) ? value : [value]).filter((entry) => typeof entry === 'string');
  const list = Array.isArray(data_files) ? data_files : [data_files];
  const plain = texts(list);
  if (plain.length > 0) return [{ split: DEFAULT_SPLIT, patterns: plain }];
  return list
    .filter(isObject)
    .map(({ split, path }) => ({ split: String(split), patterns: texts(path) }))
    .filter(({ patterns }) => patterns.length > 0);
}

/** Every file that may hold rows, without what describes a data set. */
async function dataFiles(files: RepoFiles, root: string): Promise<string[]> {
  const all = (await glob(files, `${root}/**`)).map((path) => path.slice(root.length + 1));
  return all
    .filter(
      (path) => KINDS.some((kind) => kind.test(path)) && !/(^|\/)(dataset_infos?|state)\.json$/.test(path),
    )
    .map((path) => `${root}/${path}`);
}

/** Words for splits in names of files. Where no name has one, all rows are training data, as in Python's `datasets`. */
const SPLIT_WORDS =
  /(?:^|[^a-z])(?:train(?:ing)?|test(?:ing)?|valid(?:ation)?|val|dev|eval(?:uation)?)(?![a-z])/i;

/** Files in the subset's folder whose name, or the folder they are in, is the split's: train-00000-of-00002.parquet. */
function named(root: string, all: readonly string[], subset: string | undefined, split: string): string[] {
  const inSubset = subset === undefined ? all : all.filter((path) => path.includes(`/${subset}/`));
  const isUnnamed = !all.some((path) => SPLIT_WORDS.test(path.slice(root.length)));
  const ofSplit = inSubset.filter((path) => {
    if (isUnnamed && split === DEFAULT_SPLIT) return true;
    const folders = path.split('/');
    const name = folders.pop() ?? '';
    return folders.includes(split) || (name.startsWith(split) && /^[-.]/.test(name.slice(split.length)));
  });
  const kind = KINDS.find((candidate) => ofSplit.some((path) => candidate.test(path)));
  return kind === undefined ? [] : ofSplit.filter((path) => kind.test(path));
}
