/** What a user may name as data: a file, a pattern, or a data set of the hub. */
import { InputError } from '../../errors.ts';
import { hubPathText, isHubPath, parseHubPath } from '../../runtime/hub/path.ts';
import { glob, isPattern } from './glob.ts';
import { type RepoFiles, splitFiles } from './hub-split.ts';

/**
 * The files that `reference` names, in order:
 *
 *   pairs.jsonl, data/*.parquet, data/**\/*.jsonl.gz    paths and patterns
 *   hf:OWNER/NAME                                       the training split of a data set on the hub
 *   hf:OWNER/NAME@REVISION:SUBSET/SPLIT                 another one; `:SPLIT` of the default subset
 *   hf:OWNER/NAME/PATH                                  a file or pattern in its repository
 *
 * @throws InputError where there is none
 */
export async function expandData(files: RepoFiles, reference: string): Promise<string[]> {
  if (isHubPath(reference)) return expandHub(files, reference);
  if (await files.exists(reference)) {
    if (!(await files.isDirectory(reference))) return [reference];
    throw new InputError(
      `${reference}: is a directory; name a file, or a pattern such as ${reference.replace(/\/$/, '')}/*.jsonl`,
    );
  }
  if (isPattern(reference)) return some(await glob(files, reference), reference);
  throw new InputError(
    `${reference}: there is no such file. Relative paths start at the current directory; a data set of the hub is hf:OWNER/NAME.`,
  );
}

async function expandHub(files: RepoFiles, reference: string): Promise<string[]> {
  // On the hub, data and models are different repositories; here only data can be meant.
  const rest = reference.replace(/^hf:(\/\/)?(datasets\/)?/, '');
  const colon = rest.indexOf(':');
  const place = parseHubPath(`hf:datasets/${colon < 0 ? rest : rest.slice(0, colon)}`);
  if (place === undefined) throw new RangeError(`${reference} is no path of the hub.`);
  const { repo, path } = place;
  if (path === '') return splitFiles(files, repo, colon < 0 ? '' : rest.slice(colon + 1));
  if (colon >= 0) throw new InputError(`${reference}: names a file and a split; leave one of them out`);
  const full = hubPathText(repo, path);
  if (isPattern(path)) return some(await glob(files, full), reference);
  if (await files.isDirectory(full)) {
    throw new InputError(
      `${reference}: is a folder of the repository; name a file, or a pattern such as ${reference}/*.parquet`,
    );
  }
  return [full];
}

function some(found: string[], reference: string): string[] {
  if (found.length > 0) return found;
  throw new InputError(`${reference}: no file matches this pattern`);
}
