/**
 * Reads a configuration from YAML and the command line's `--set`, and reports everything that is wrong with it at once,
 * each problem under FILE:LINE:COLUMN or under the `--set` it came from.
 */
import { isMap, isPair, isScalar, isSeq, LineCounter, type Node, YAMLParseError } from 'yaml';
import { InputErrors } from '../errors.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import { expandShorthand, readTrainConfig, type TrainConfig } from '../train/config.ts';
import { readYaml, yamlValues } from '../yaml-values.ts';
import { applyOverride, type Override, parseOverride } from './overrides.ts';

type Path = readonly (string | number)[];

/** A checked configuration and where its values come from. */
export interface LoadedConfig {
  readonly config: TrainConfig;
  /** 'FILE:LINE:COLUMN' or '--set a.b' of a key; of the nearest key above it where it is not given. */
  locate(path: Path): string;
}

/** @throws InputErrors with every problem of the file, of the overrides and of what they make together. */
export async function loadConfig(
  files: Pick<FileSystem, 'readText'>,
  file: string,
  overrides: readonly string[] = [],
): Promise<LoadedConfig> {
  return parseConfig(await files.readText(file), file, overrides);
}

/** The same for a text; `file` is its name in messages. */
export function parseConfig(text: string, file: string, overrides: readonly string[] = []): LoadedConfig {
  const lines = new LineCounter();
  const document = usable(file, () => readYaml(text, { lineCounter: lines, prettyErrors: false }));
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${Math.max(line, 1)}:${Math.max(col, 1)}`;
  };
  const unreadable = [...document.errors, ...document.warnings].map((e) => `${at(e.pos[0])}: ${e.message}`);
  if (unreadable.length > 0) fail(file, unreadable);
  if (document.contents === null)
    fail(file, [`${file}: is empty; it needs at least model, objective, data and output_dir`]);

  const parsed = overrides.map(parseOverride);
  const wrong = parsed.flatMap((p) => ('problem' in p ? [p.problem] : []));
  let values: unknown = expandShorthand(usable(file, () => yamlValues(document)));
  const applied: Override[] = [];
  for (const override of parsed) {
    if ('problem' in override) continue;
    const result = applyOverride(values, override);
    if ('problem' in result) wrong.push(result.problem);
    else {
      values = expandShorthand(result.values);
      applied.push(override);
    }
  }
  const locate = (path: Path) => overrideOf(applied, path) ?? at(offsetOf(document.contents, path));
  const { config, problems } = readTrainConfig(values);
  const listed = problems.map(({ path, message }) => ({ where: locate(path), key: path.join('.'), message }));
  listed.sort((a, b) => inFileOrder(a.where, b.where));
  const lists = [...wrong, ...listed.map(problemText)];
  if (config === undefined || lists.length > 0) fail(file, lists);
  return { config, locate };
}

/** 'WHERE: KEY: MESSAGE'; a `--set` names its key already. */
function problemText({ where, key, message }: { where: string; key: string; message: string }): string {
  const isNamed = key === '' || where === `--set ${key}`;
  return isNamed ? `${where}: ${message}` : `${where}: ${key}: ${message}`;
}

function fail(file: string, problems: readonly string[]): never {
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  const shown = problems.slice(0, MOST_SHOWN);
  if (problems.length > MOST_SHOWN) shown.push(`... and ${problems.length - MOST_SHOWN} more`);
  throw new InputErrors(`${file}: ${count} in the configuration`, shown);
}

const MOST_SHOWN = 20;

/** @throws InputErrors in place of what the parser throws */
function usable<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof YAMLParseError) fail(file, [`${file}: ${error.message}`]);
    throw error;
  }
}

/** The last override that wrote the value at `path`, or something around it. */
function overrideOf(applied: readonly Override[], path: Path): string | undefined {
  const wrote = applied.filter(({ keys }) => keys.every((key, i) => key === String(path[i])));
  const last = wrote.at(-1);
  return last && `--set ${last.keys.join('.')}`;
}

/** Offset of the key (or list entry) at `path`, as deep as the document goes. */
function offsetOf(root: Node | null, path: Path): number {
  let node: unknown = root;
  let offset = root?.range?.[0] ?? 0;
  for (const key of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
      if (!isPair(pair)) break;
      offset = rangeStart(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof key === 'number') {
      node = node.items[key];
      offset = rangeStart(node) ?? offset;
    } else break;
  }
  return offset;
}

function rangeStart(node: unknown): number | undefined {
  return (node as Partial<Node> | null)?.range?.[0];
}

/** Problems of the command line first, then by line and column. */
function inFileOrder(a: string, b: string): number {
  const place = (where: string) => {
    const [, line, column] = /:(\d+):(\d+)$/.exec(where) ?? [];
    return line === undefined ? -1 : Number(line) * 1e6 + Number(column);
  };
  return place(a) - place(b);
}
