/**
 * A repository at one revision in the hub's own cache, which Python's huggingface_hub reads and writes too:
 *
 *   HF_HOME/hub/models--OWNER--NAME/refs/REVISION       the commit that a branch or tag stood for
 *                                  /snapshots/COMMIT/PATH   links to
 *                                  /blobs/ETAG              the contents
 */
import * as fs from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { ListFileEntry } from '@huggingface/hub';
import { InputError } from '../../errors.ts';
import { codeOf } from '../file-errors.ts';
import { download, type Note } from './download.ts';
import { causeOf, describeHubError, isUnreachable, offlineError } from './errors.ts';
import { type HubRepo, hubPathText } from './path.ts';
import { type HubSettings, hubSettings } from './settings.ts';

const COMMIT = /^[0-9a-f]{40}$/;

/** The files of the revision by path; the entry is undefined for one known from the cache alone. */
type Listing = ReadonlyMap<string, ListFileEntry | undefined>;

export class HubRepository {
  readonly #repo: HubRepo;
  readonly #note: Note;
  #opened: Promise<Snapshot> | undefined;

  constructor(repo: HubRepo, note: Note) {
    this.#repo = repo;
    this.#note = note;
  }

  /** Paths of all files, sorted. @throws InputError when there is no such repository or it cannot be reached */
  async paths(): Promise<string[]> {
    return [...(await this.#snapshot()).listing.keys()].sort();
  }

  /** The path on disk of a file, which is downloaded when the cache does not have it. */
  async fetch(path: string): Promise<string> {
    const { listing, folder, commit, storage, settings, hub } = await this.#snapshot();
    const pointer = join(folder, path);
    if (await exists(pointer)) return pointer;
    const name = hubPathText(this.#repo, path);
    const entry = listing.get(path);
    if (entry === undefined) {
      if (settings.offline) throw offlineError(name);
      throw new InputError(
        `${name}: there is no such file in the repository (commit ${commit.slice(0, 12)}).`,
      );
    }
    const etag = entry.lfs?.oid ?? entry.xetHash ?? entry.oid;
    if (etag === undefined) throw new InputError(`${name}: the hub gives no identity for this file.`);
    const blob = join(storage, 'blobs', etag);
    await fs.mkdir(dirname(blob), { recursive: true });
    await fs.mkdir(dirname(pointer), { recursive: true });
    const read = async (offset: number) => {
      const { type, name: repoName } = this.#repo;
      const remote = await hub.downloadFile({
        repo: { type, name: repoName },
        path,
        revision: commit,
        hubUrl: settings.endpoint,
        accessToken: settings.token,
        xet: false,
      });
      if (remote === null) throw new InputError(`${name}: is listed, but not there.`);
      return remote.slice(offset, entry.size).stream();
    };
    try {
      await download({ name, size: entry.size, sha256: entry.lfs?.oid, read }, blob, this.#note);
    } catch (error) {
      throw isKnown(error) ? error : describeHubError(this.#repo, error);
    }
    await link(blob, pointer);
    return pointer;
  }

  #snapshot(): Promise<Snapshot> {
    // A failure is not kept: the next call may find the network again.
    this.#opened ??= openSnapshot(this.#repo, this.#note).catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }
}

interface Snapshot {
  readonly hub: typeof import('@huggingface/hub');
  readonly settings: HubSettings;
  /** Folder of the repository in the cache, and of the revision in it. */
  readonly storage: string;
  readonly folder: string;
  readonly commit: string;
  readonly listing: Listing;
}

/** Settles on a commit, so that everything read later is of one version. */
async function openSnapshot(repo: HubRepo, note: Note): Promise<Snapshot> {
  const hub = await import('@huggingface/hub');
  const settings = await hubSettings();
  const storage = join(hub.getHFHubCachePath(), hub.getRepoFolderName(repo));
  const at = (commit: string, listing: Listing): Snapshot => ({
    hub,
    settings,
    storage,
    commit,
    folder: join(storage, 'snapshots', commit),
    listing,
  });
  const cached = async (): Promise<Snapshot | undefined> => {
    const commit = COMMIT.test(repo.revision) ? repo.revision : await readRef(storage, repo.revision);
    const paths = commit && (await filesBelow(join(storage, 'snapshots', commit)));
    return paths && paths.length > 0
      ? at(commit, new Map(paths.map((path) => [path, undefined])))
      : undefined;
  };
  if (settings.offline) {
    const found = await cached();
    if (found === undefined) throw offlineError(hubPathText(repo));
    return found;
  }
  try {
    const online = { hubUrl: settings.endpoint, accessToken: settings.token };
    const commit = COMMIT.test(repo.revision) ? repo.revision : await commitOf(hub, repo, online);
    if (commit !== repo.revision) await writeRef(storage, repo.revision, commit);
    const listing = new Map<string, ListFileEntry>();
    const { type, name } = repo;
    for await (const entry of hub.listFiles({
      ...online,
      repo: { type, name },
      revision: commit,
      recursive: true,
    })) {
      if (entry.type === 'file') listing.set(entry.path, entry);
    }
    return at(commit, listing);
  } catch (error) {
    const found = isUnreachable(error) ? await cached() : undefined;
    if (found === undefined) throw describeHubError(repo, error);
    note(
      `${hubPathText(repo)}: the hub cannot be reached (${causeOf(error)}); reading commit ${found.commit.slice(0, 12)} from the cache.`,
    );
    return found;
  }
}

async function commitOf(
  hub: typeof import('@huggingface/hub'),
  { type, name, revision }: HubRepo,
  online: { hubUrl?: string; accessToken?: string },
): Promise<string> {
  const info =
    type === 'dataset'
      ? await hub.datasetInfo({ ...online, name, revision, additionalFields: ['sha'] })
      : await hub.modelInfo({ ...online, name, revision, additionalFields: ['sha'] });
  return info.sha;
}

/** undefined also for a file that holds no commit: what it names would be a path. */
async function readRef(storage: string, revision: string): Promise<string | undefined> {
  const text = await fs.readFile(join(storage, 'refs', revision), 'utf8').catch(() => '');
  return COMMIT.test(text.trim()) ? text.trim() : undefined;
}

async function writeRef(storage: string, revision: string, commit: string): Promise<void> {
  const path = join(storage, 'refs', revision);
  await fs.mkdir(dirname(path), { recursive: true });
  await fs.writeFile(path, commit);
}

/** Links where the system allows it, as the cache's layout wants; a second copy elsewhere (Windows). */
async function link(blob: string, pointer: string): Promise<void> {
  try {
    await fs.symlink(relative(dirname(pointer), blob), pointer);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return;
    await fs.copyFile(blob, pointer);
  }
}

/** Relative paths of all files, with '/'. */
async function filesBelow(folder: string): Promise<string[]> {
  const names = await fs.readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return names
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll('\\', '/'));
}

function isKnown(error: unknown): boolean {
  return error instanceof Error && (error.name === 'InputError' || error.name === 'RunError');
}

async function exists(path: string): Promise<boolean> {
  return fs.access(path).then(
    () => true,
    () => false,
  );
}
