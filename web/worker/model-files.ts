/** Brings a model into the engine's tree of files: from a folder behind a URL, or from files that were dropped. */
import { fetchSource, InputError, type MemoryFiles } from '../../src/index.ts';
import type { ModelSource, NamedFile } from './protocol.ts';

/** Directories in the tree. */
export interface PlacedModel {
  /** undefined when only an adapter was given. */
  readonly model: string | undefined;
  readonly adapter: string | undefined;
}

const SMALL_FILES = [
  'config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'generation_config.json',
  'chat_template.jinja',
];
const INDEX = 'model.safetensors.index.json';

/** @param directory - where the files go; what is there is replaced */
export async function placeModel(
  files: MemoryFiles,
  directory: string,
  source: ModelSource,
): Promise<PlacedModel> {
  await files.remove(directory);
  return source.kind === 'url'
    ? placeUrl(files, directory, source.url)
    : placeDropped(files, directory, source.files);
}

/** Small files are read whole; weights stay behind their URL and are fetched range by range. */
async function placeUrl(files: MemoryFiles, directory: string, url: string): Promise<PlacedModel> {
  const base = url.endsWith('/') ? url : `${url}/`;
  for (const name of SMALL_FILES) {
    const bytes = await fetchOptional(`${base}${name}`);
    if (bytes !== undefined) files.add(`${directory}/${name}`, bytes);
  }
  if (!(await files.exists(`${directory}/config.json`)))
    throw new InputError(`${base}: there is no config.json, so this is no Hugging Face model folder.`);
  const index = await fetchOptional(`${base}${INDEX}`);
  if (index === undefined) {
    files.add(`${directory}/model.safetensors`, await fetchSource(`${base}model.safetensors`));
  } else {
    files.add(`${directory}/${INDEX}`, index);
    for (const name of shardNames(await index.text(), `${base}${INDEX}`))
      files.add(`${directory}/${name}`, await fetchSource(`${base}${name}`));
  }
  return { model: directory, adapter: undefined };
}

/** @returns undefined where the server has no such file, or answers with a page instead. */
async function fetchOptional(url: string): Promise<Blob | undefined> {
  const answer = await fetch(url).catch((error: unknown) => {
    throw new InputError(`${url}: cannot be reached (${error instanceof Error ? error.message : error}).`);
  });
  if (answer.status === 404 || answer.headers.get('Content-Type')?.startsWith('text/html')) return undefined;
  if (!answer.ok) throw new InputError(`${url}: the server answered ${answer.status} ${answer.statusText}.`);
  return answer.blob();
}

function shardNames(text: string, name: string): string[] {
  try {
    const { weight_map } = JSON.parse(text) as { weight_map: Record<string, string> };
    return [...new Set(Object.values(weight_map))];
  } catch {
    throw new InputError(`${name}: is no index of weights: it needs a weight_map.`);
  }
}

function placeDropped(files: MemoryFiles, directory: string, dropped: readonly NamedFile[]): PlacedModel {
  for (const { path, file } of dropped) files.add(`${directory}/${path}`, file);
  const folderOf = (name: string) => {
    const found = dropped
      .map(({ path }) => path)
      .filter((path) => path === name || path.endsWith(`/${name}`))
      .sort((a, b) => a.split('/').length - b.split('/').length);
    return found.length === 0 ? undefined : `${directory}/${found[0].slice(0, -name.length)}`;
  };
  const placed = { model: folderOf('config.json'), adapter: folderOf('adapter_config.json') };
  if (placed.model === undefined && placed.adapter === undefined) {
    const names = dropped.slice(0, 5).map(({ path }) => path);
    throw new InputError(
      `No model among the dropped files (${names.join(', ')}${dropped.length > 5 ? ', ...' : ''}). Drop a Hugging Face folder ` +
        'with config.json, model.safetensors and tokenizer.json, or a PEFT adapter with adapter_config.json.',
    );
  }
  return placed;
}
