/**
 * Paths into repositories of the Hugging Face hub, written as huggingface_hub writes them:
 *
 *   hf:OWNER/NAME[@REVISION][/PATH]             a model
 *   hf:datasets/OWNER/NAME[@REVISION][/PATH]    a data set
 *
 * `hf://` is accepted too. A revision is a branch, a tag or a commit; one that contains '/' has it as %2F, except for
 * refs/pr/N and refs/convert/NAME.
 */
import { InputError } from '../../errors.ts';

/** A repository at one revision. */
export interface HubRepo {
  readonly type: 'model' | 'dataset';
  /** 'OWNER/NAME'. */
  readonly name: string;
  readonly revision: string;
}

/** A file or folder in a repository. */
export interface HubPath {
  readonly repo: HubRepo;
  /** '' is the root. */
  readonly path: string;
}

const SCHEME = 'hf:';
const DATASETS = 'datasets/';
const REPO = /^([\w.-]+\/[\w.-]+)(?:@(refs\/(?:pr\/\d+|convert\/\w+)|[^/]+))?(?:\/(.*))?$/;

export function isHubPath(text: string): boolean {
  return text.startsWith(SCHEME);
}

/** Reads a path; undefined for one that does not begin with 'hf:'. @throws InputError for one that names no repository */
export function parseHubPath(text: string): HubPath | undefined {
  if (!isHubPath(text)) return undefined;
  const rest = text.slice(SCHEME.length).replace(/^\/\//, '');
  const isDataset = rest.startsWith(DATASETS);
  const [, name, revision = 'main', path = ''] =
    REPO.exec(isDataset ? rest.slice(DATASETS.length) : rest) ?? [];
  if (name === undefined) {
    throw new InputError(
      `${text}: names no repository of the hub; write hf:OWNER/NAME, hf:OWNER/NAME@REVISION or hf:OWNER/NAME/PATH`,
    );
  }
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw new InputError(`${text}: leads out of the repository`);
  const type = isDataset ? 'dataset' : 'model';
  return { repo: { type, name, revision: decoded(revision, text) }, path: parts.join('/') };
}

/** @throws InputError for what no branch, tag or commit can be called */
function decoded(revision: string, text: string): string {
  try {
    const name = decodeURIComponent(revision);
    if (!name.includes('\0') && !name.split('/').includes('..')) return name;
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
  }
  throw new InputError(`${text}: ${JSON.stringify(revision)} is no revision; write / as %2F and % as %25`);
}

/** The text that `parseHubPath` reads. */
export function hubPathText({ type, name, revision }: HubRepo, path = ''): string {
  const isSpecial = /^refs\/(pr\/\d+|convert\/\w+)$/.test(revision);
  const at = revision === 'main' ? '' : `@${isSpecial ? revision : encodeURIComponent(revision)}`;
  return `${SCHEME}${type === 'dataset' ? DATASETS : ''}${name}${at}${path === '' ? '' : `/${path}`}`;
}
