/**
 * What files are: models, adapters, runs, score files, metrics or rows. The same for files that were dropped, and for
 * those that `prefgrad view` serves.
 */
import type { Result } from '../../src/analyze/figure.ts';
import type { MethodChoice, ModelSource, PairText, ScoredPair } from '../worker/protocol.ts';
import { isScored, scoredOf, textsOf } from './score-lines.ts';

/** A file of what was opened, read when it is needed. */
export interface Item {
  /** With forward slashes, from the folder that was opened. */
  readonly path: string;
  blob(): Promise<Blob>;
  /** Where the engine may fetch it range by range; absent for dropped files. */
  readonly url?: string;
}

export type Opened =
  | {
      readonly kind: 'model';
      readonly name: string;
      readonly source: ModelSource;
      readonly method: MethodChoice | undefined;
    }
  | {
      readonly kind: 'run';
      readonly name: string;
      readonly metrics: readonly Readonly<Record<string, number>>[];
      readonly method: MethodChoice | undefined;
      /** By rising step, the base of adapters first; the final model last. */
      readonly models: readonly {
        readonly name: string;
        readonly step: number;
        readonly source: ModelSource;
      }[];
      /** What `prefgrad analyze` wrote into it. */
      readonly figures: readonly Result[];
    }
  | { readonly kind: 'figure'; readonly name: string; readonly figure: Result }
  | {
      readonly kind: 'scores';
      readonly name: string;
      readonly pairs: readonly PairText[];
      readonly scored: readonly ScoredPair[];
    }
  | { readonly kind: 'rows'; readonly name: string; readonly file: Blob };

/** @throws Error with a sentence for the user */
export async function open(items: readonly Item[]): Promise<Opened[]> {
  const opened: Opened[] = [];
  const runs = foldersWith(items, 'metrics.jsonl');
  for (const folder of runs) opened.push(await openRun(items, folder));
  const isInRun = (path: string) => runs.some((folder) => path.startsWith(folder));
  const rest = items.filter(({ path }) => !isInRun(path));
  const models = modelFolders(rest);
  for (const folder of models) {
    const source = await sourceOf(rest, folder);
    opened.push({ kind: 'model', name: lastName(folder) ?? 'model', source, method: undefined });
  }
  const files = rest.filter(
    ({ path }) => /\.jsonl?(\.gz)?$/.test(path) && !models.some((folder) => path.startsWith(folder)),
  );
  for (const item of files) opened.push(await openLines(item));
  if (opened.length > 0) return opened;
  const names = items.slice(0, 5).map(({ path }) => path);
  throw new Error(
    `${names.join(', ') || 'Nothing'}: this is neither a model folder (config.json, safetensors, tokenizer.json), nor a PEFT ` +
      'adapter, nor a run directory, nor a .jsonl of pairs, scores or metrics, nor a figure of prefgrad analyze.',
  );
}

/** Folders, '' or ending in '/', that hold a file of that name. */
function foldersWith(items: readonly Item[], name: string): string[] {
  return items
    .filter(({ path }) => path === name || path.endsWith(`/${name}`))
    .map(({ path }) => path.slice(0, path.length - name.length));
}

function modelFolders(items: readonly Item[]): string[] {
  return [...new Set([...foldersWith(items, 'config.json'), ...foldersWith(items, 'adapter_config.json')])];
}

function isAdapter(items: readonly Item[], folder: string): boolean {
  return items.some(({ path }) => path === `${folder}adapter_config.json`);
}

function lastName(folder: string): string | undefined {
  return folder.split('/').filter(Boolean).at(-1);
}

async function sourceOf(items: readonly Item[], folder: string): Promise<ModelSource> {
  const inside = items.filter(({ path }) => path.startsWith(folder));
  const { url } = inside[0];
  if (url !== undefined && inside.some(({ path }) => path === `${folder}config.json`))
    return { kind: 'url', url: url.slice(0, url.length - inside[0].path.length + folder.length) };
  const files = inside.map(async ({ path, blob }) => ({
    path: path.slice(folder.length),
    file: await blob(),
  }));
  return { kind: 'files', files: await Promise.all(files) };
}

/** An adapter with the base model that it goes on. */
async function onBase(items: readonly Item[], base: string, adapter: string): Promise<ModelSource> {
  const of = (folder: string, to: string) =>
    items
      .filter(({ path }) => path.startsWith(folder))
      .map(async ({ path, blob }) => ({ path: `${to}${path.slice(folder.length)}`, file: await blob() }));
  return { kind: 'files', files: await Promise.all([...of(base, 'base/'), ...of(adapter, 'adapter/')]) };
}

/** A run directory: metrics.jsonl, checkpoint-STEP/ and model/, as far as they are there. */
async function openRun(items: readonly Item[], folder: string): Promise<Opened> {
  const inside = items.filter(({ path }) => path.startsWith(folder));
  const find = (name: string) => inside.find(({ path }) => path === `${folder}${name}`);
  const log = find('metrics.jsonl');
  const name = lastName(folder) ?? 'metrics.jsonl';
  const metrics = log === undefined ? [] : readMetrics(log.path, await textOf(log));
  const states = inside.filter(({ path }) => path.endsWith('/trainer_state.json'));
  const state = states[0] && (JSON.parse(await textOf(states[0])) as { config?: { objective?: unknown } });
  const found: { name: string; step: number; source: ModelSource }[] = [];
  const base = `${folder}base/`;
  const hasBase = find('base/config.json') !== undefined;
  if (hasBase) found.push({ name: `${name}, base`, step: 0, source: await sourceOf(inside, base) });
  for (const at of modelFolders(inside)) {
    const last = lastName(at.slice(folder.length)) ?? '';
    const step = /^checkpoint-(\d+)$/.exec(last)?.[1];
    if (step === undefined && last !== 'model') continue;
    found.push({
      name: `${name}, ${step === undefined ? 'final' : `step ${step}`}`,
      step: step === undefined ? Number.POSITIVE_INFINITY : Number(step),
      source: isAdapter(inside, at) && hasBase ? await onBase(inside, base, at) : await sourceOf(inside, at),
    });
  }
  found.sort((a, b) => a.step - b.step);
  const figures = await figuresAmong(inside.filter(({ path }) => isBeside(path.slice(folder.length))));
  return { kind: 'run', name, metrics, method: methodOf(state?.config?.objective), models: found, figures };
}

/** Where `prefgrad analyze --out` may have written: the run's directory, or figures/ in it. */
function isBeside(path: string): boolean {
  return /^(figures\/)?[^/]+\.json$/.test(path) && path !== 'run.json';
}

async function figuresAmong(items: readonly Item[]): Promise<Result[]> {
  const read = await Promise.all(items.map(async (item) => figureOf(await textOf(item))));
  return read.flatMap((figure) => figure ?? []);
}

/** undefined for everything else that a JSON file may be. */
function figureOf(text: string): Result | undefined {
  try {
    const read = JSON.parse(text) as Partial<Result> | null;
    const isFigure = read?.kind === 'figure' && Array.isArray(read.series);
    const isTable = read?.kind === 'table' && Array.isArray(read.rows);
    return isFigure || isTable ? (read as Result) : undefined;
  } catch {
    return undefined;
  }
}

/** The objective of a saved configuration as the page chooses one. */
function methodOf(objective: unknown): MethodChoice | undefined {
  if (typeof objective !== 'object' || objective === null || !('name' in objective)) return undefined;
  const { name, settings, bmc, token_weights } = objective as {
    name: string;
    settings?: Record<string, unknown>;
    bmc?: Record<string, unknown>;
    token_weights?: { name: string; settings?: Record<string, unknown> };
  };
  const weights = bmc ?? (token_weights?.name === 'bmc' ? (token_weights.settings ?? {}) : undefined);
  return { name, settings: settings ?? {}, ...(weights && { bmc: weights }) };
}

async function openLines(item: Item): Promise<Opened> {
  const name = lastName(item.path) ?? item.path;
  const text = await textOf(item);
  const figure = item.path.endsWith('.json') ? figureOf(text) : undefined;
  if (figure !== undefined) return { kind: 'figure', name: figure.name, figure };
  const [first] = parseLines(
    item.path,
    text.startsWith('[') ? '{}' : text.slice(0, text.indexOf('\n') + 1 || undefined),
  );
  if (first !== undefined && 'step' in first)
    return {
      kind: 'run',
      name,
      metrics: readMetrics(item.path, text),
      method: undefined,
      models: [],
      figures: [],
    };
  if (isScored(first)) {
    const lines = parseLines(item.path, text).filter(isScored);
    return { kind: 'scores', name, pairs: lines.map(textsOf), scored: lines.map(scoredOf) };
  }
  return { kind: 'rows', name, file: new Blob([text]) };
}

async function textOf(item: Item): Promise<string> {
  const blob = await item.blob();
  if (!item.path.endsWith('.gz')) return blob.text();
  return new Response(blob.stream().pipeThrough(new DecompressionStream('gzip'))).text();
}

function readMetrics(path: string, text: string): Record<string, number>[] {
  return parseLines(path, text) as Record<string, number>[];
}

function parseLines(path: string, text: string): object[] {
  const lines = text.split('\n');
  const parsed = lines.flatMap((line, i) => {
    if (line.trim() === '') return [];
    try {
      return [JSON.parse(line) as object];
    } catch {
      throw new Error(`${path}:${i + 1}: this line is not JSON.`);
    }
  });
  if (parsed.length === 0) throw new Error(`${path}: the file is empty.`);
  return parsed;
}
