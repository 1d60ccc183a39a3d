/** The data of a run: several sources with weights, and rows held out from them for evaluation. */
import { InputError } from '../errors.ts';
import { reportText } from './data-report.ts';
import type { Example } from './examples.ts';
import { type DatasetOptions, prepareDataset } from './prepare.ts';
import { uniformAt } from './random.ts';
import { epochOrder } from './shuffle.ts';

/** One source of rows. */
export interface DataSource {
  /** A file, a pattern, or a data set of the hub; see `expandData`. */
  readonly path: string;
  /**
   * How often each of its rows is in an epoch: 2 is twice, 0.5 takes half of the rows, drawn by the seed. Default 1.
   */
  readonly weight?: number;
}

/** As configurations write it: a path, a source, or a list of these. */
export type DataSources = string | DataSource | readonly (string | DataSource)[];

export function sourcesOf(sources: DataSources): DataSource[] {
  const list: readonly (string | DataSource)[] = Array.isArray(sources) ? sources : [sources];
  return list.map((source) => (typeof source === 'string' ? { path: source } : source));
}

/** The paths of the sources, for messages. */
export function sourcesText(sources: DataSources): string {
  return sourcesOf(sources)
    .map(({ path, weight }) => (weight === undefined ? path : `${path} (weight ${weight})`))
    .join(', ');
}

export interface RunDataOptions extends Omit<DatasetOptions, 'path' | 'sampleSeed'> {
  readonly train: DataSources;
  readonly eval?: DataSources;
  /** Share of the training rows that is held out, where there is no `eval`. */
  readonly evalFraction?: number;
  /** Draw `limit` rows of each source from all of it. */
  readonly shuffle?: boolean;
  readonly seed: number;
  /** Hears what became of each source. */
  readonly note?: (line: string) => void;
}

/** Streams of random numbers for the weights of sources and for the held-out prompts. */
const WEIGHT_STREAM = 0x77;
const SPLIT_STREAM = 0x73;

/** @throws InputError for what cannot be read, and where nothing is left to train on or to evaluate on */
export async function loadRunData(options: RunDataOptions): Promise<{ train: Example[]; eval: Example[] }> {
  const { evalFraction, seed } = options;
  const load = async (sources: DataSources) => {
    const loaded: { source: DataSource; examples: Example[] }[] = [];
    for (const source of sourcesOf(sources)) {
      const sampleSeed = options.shuffle === true ? seed : undefined;
      const { examples, report } = await prepareDataset({ ...options, path: source.path, sampleSeed });
      options.note?.(`${source.path}: ${reportText(report)}.`);
      loaded.push({ source, examples });
    }
    return loaded;
  };
  let train = await load(options.train);
  let held = options.eval === undefined ? [] : (await load(options.eval)).flatMap(({ examples }) => examples);
  if (evalFraction !== undefined && options.eval === undefined) {
    const split = holdOut(
      train.map(({ examples }) => examples),
      evalFraction,
      seed,
    );
    held = split.held;
    train = train.map(({ source }, i) => ({ source, examples: split.kept[i] }));
    options.note?.(`${held.length} rows are held out for evaluation.`);
  }
  const weighted = train.flatMap(({ source, examples }, i) =>
    repeated(examples, source.weight ?? 1, seed, i),
  );
  if (weighted.length === 0)
    throw new InputError(`${sourcesText(options.train)}: no row is left to train on`);
  return { train: numbered(weighted), eval: numbered(held) };
}

/**
 * Splits off whole prompts, so that no prompt is on both sides, in an order that depends on the seed and on the prompt
 * alone: rows that are added later do not move old ones around.
 * @returns what is kept of each list, and what is held out of all of them
 */
export function holdOut(
  lists: readonly (readonly Example[])[],
  fraction: number,
  seed: number,
): { kept: Example[][]; held: Example[] } {
  const counts = new Map<number, number>();
  const keys = lists.map((list) => list.map(({ promptIds }) => promptKey(promptIds, seed)));
  for (const key of keys.flat()) counts.set(key, (counts.get(key) ?? 0) + 1);
  const total = keys.reduce((sum, list) => sum + list.length, 0);
  const wanted = Math.max(1, Math.round(total * fraction));
  const taken = new Set<number>();
  let rows = 0;
  for (const [key, count] of [...counts].sort(([a], [b]) => a - b)) {
    if (rows >= wanted) break;
    taken.add(key);
    rows += count;
  }
  if (taken.size === counts.size) {
    throw new InputError(
      `data.eval_fraction: holding out ${fraction} of ${total} rows with ${counts.size} different prompts leaves none to train on`,
    );
  }
  const kept = lists.map((list, i) => list.filter((_, j) => !taken.has(keys[i][j])));
  const held = lists.flatMap((list, i) => list.filter((_, j) => taken.has(keys[i][j])));
  return { kept, held };
}

/** A number in (0, 1) with 53 bits, the same for the same prompt. */
function promptKey(ids: Int32Array, seed: number): number {
  let [high, low] = [seed, ~seed];
  for (const id of ids) {
    high = Math.imul(high ^ id, 0x01000193) + 1;
    low = Math.imul(low ^ id, 0x85ebca6b) + (high >>> 15);
  }
  return uniformAt(high, SPLIT_STREAM, low) + uniformAt(low, SPLIT_STREAM, high) / 2 ** 21;
}

/** Every row `weight` times; of a fraction, that share of the rows, drawn once for the run. */
function repeated(examples: readonly Example[], weight: number, seed: number, source: number): Example[] {
  const whole = Array.from({ length: Math.floor(weight) }, () => examples).flat();
  const rest = Math.round((weight % 1) * examples.length);
  const drawn = new Set(epochOrder(seed ^ WEIGHT_STREAM, source, examples.length).subarray(0, rest));
  return [...whole, ...examples.filter((_, i) => drawn.has(i))];
}

function numbered(examples: readonly Example[]): Example[] {
  return examples.map((example, index) => ({ ...example, index }));
}
