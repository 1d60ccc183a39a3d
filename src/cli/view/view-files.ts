/** What `prefgrad view` hands to the page: the files of every source, under the source's name. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, isAbsolute, join, resolve } from 'node:path';
import { InputError } from '../../errors.ts';

/** Files on disk by the path that the page sees, '/' between folders. */
export type ViewFiles = ReadonlyMap<string, string>;

/** What a page has no use for: optimizer states, event files, locks, caches. */
const NOT_SHOWN =
  /(^|\/)(optimizer\.safetensors|\.lock|[^/]*\.tmp|events\.out\.tfevents[^/]*|reference-cache\/.*)$/;

/**
 * @param sources run directories, model directories, PEFT adapters, score files
 * @param data rows to show instead of those of the sources
 * @throws InputError for what is not there
 */
export function viewFiles(sources: readonly string[], data: string | undefined): ViewFiles {
  const files = new Map<string, string>();
  const names = new Set<string>();
  for (const source of data === undefined ? sources : [...sources, data]) {
    const stat = statSync(source, { throwIfNoEntry: false });
    if (stat === undefined) throw new InputError(`${source}: there is no such file or directory.`);
    const name = freeName(basename(resolve(source)), names);
    if (stat.isDirectory()) addDirectory(files, name, source);
    else files.set(name, source);
  }
  return files;
}

function freeName(name: string, taken: Set<string>): string {
  let free = name;
  for (let n = 2; taken.has(free); n++) free = name.replace(/(\.\w+)?$/, `-${n}$1`);
  taken.add(free);
  return free;
}

function addDirectory(files: Map<string, string>, name: string, directory: string): void {
  const inside = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => !NOT_SHOWN.test(path) && statSync(join(directory, path)).isFile())
    .sort();
  if (inside.length === 0) throw new InputError(`${directory}: the directory has no files.`);
  for (const path of inside) files.set(`${name}/${path}`, join(directory, path));
  const adapter = inside.find((path) => path.endsWith('adapter_config.json'));
  if (adapter !== undefined && !inside.includes('config.json'))
    addBase(files, name, join(directory, adapter), directory);
}

/** The base of an adapter goes with it, as NAME/base. */
function addBase(files: Map<string, string>, name: string, config: string, directory: string): void {
  const { base_model_name_or_path: base } = JSON.parse(readFileSync(config, 'utf8')) as {
    base_model_name_or_path?: string;
  };
  const found = [base ?? '', join(directory, base ?? '')].find(
    (path) => path !== '' && statSync(join(path, 'config.json'), { throwIfNoEntry: false })?.isFile(),
  );
  if (found === undefined) {
    throw new InputError(
      `${config}: its base_model_name_or_path ${JSON.stringify(base)} is not a model directory here. ` +
        `${isAbsolute(base ?? '') ? 'Put' : 'Start prefgrad view where that path leads to one, or put'} the base's directory in that field.`,
    );
  }
  for (const path of readdirSync(found)) {
    const file = join(found, path);
    if (!NOT_SHOWN.test(path) && statSync(file).isFile()) files.set(`${name}/base/${path}`, file);
  }
}
