/** A file system in which repositories of the hub can be read like folders, under the paths of path.ts. */
import { InputError } from '../../errors.ts';
import type { FileSystem } from '../runtime.ts';
import type { Note } from './download.ts';
import { type HubPath, hubPathText, isHubPath, parseHubPath } from './path.ts';
import { HubRepository } from './repository.ts';

/**
 * Adds the hub to `local`. Files are downloaded when they are opened, into the hub's cache; a revision is looked up once,
 * so all files that are read are of one commit.
 * @param note - hears of downloads
 */
export function withHub(local: FileSystem, note: Note): FileSystem {
  const repositories = new Map<string, HubRepository>();
  const repository = ({ repo }: HubPath): HubRepository => {
    const key = hubPathText(repo);
    const known = repositories.get(key) ?? new HubRepository(repo, note);
    repositories.set(key, known);
    return known;
  };
  const namesBelow = async (place: HubPath): Promise<string[]> => {
    const prefix = place.path === '' ? '' : `${place.path}/`;
    const below = (await repository(place).paths()).filter((path) => path.startsWith(prefix));
    return [...new Set(below.map((path) => path.slice(prefix.length).split('/')[0]))].sort();
  };
  /** `remote` for a path of the hub, else `here`. */
  const either = async <T>(
    path: string,
    remote: (place: HubPath) => Promise<T>,
    here: () => Promise<T>,
  ): Promise<T> => {
    const place = parseHubPath(path);
    return place === undefined ? here() : remote(place);
  };
  const writable = (path: string): void => {
    if (!isHubPath(path)) return;
    throw new InputError(`${path}: the hub is only read. Name a local path.`);
  };
  return {
    open: (path) =>
      either(
        path,
        async (place) => ({ ...(await local.open(await repository(place).fetch(place.path))), name: path }),
        () => local.open(path),
      ),
    readText: (path) =>
      either(
        path,
        async (place) => local.readText(await repository(place).fetch(place.path)),
        () => local.readText(path),
      ),
    exists: (path) =>
      either(
        path,
        async (place) =>
          (await repository(place).paths()).includes(place.path) || (await namesBelow(place)).length > 0,
        () => local.exists(path),
      ),
    outputTarget: async (path) => {
      writable(path);
      return local.outputTarget(path);
    },
    isDirectory: (path) =>
      either(
        path,
        async (place) => (await namesBelow(place)).length > 0,
        () => local.isDirectory(path),
      ),
    list: (path) => either(path, namesBelow, () => local.list(path)),
    create: async (path) => {
      writable(path);
      return local.create(path);
    },
    append: async (path, offset) => {
      writable(path);
      return local.append(path, offset);
    },
    makeDirectory: async (path) => {
      writable(path);
      return local.makeDirectory(path);
    },
    rename: async (from, to) => {
      writable(from);
      writable(to);
      return local.rename(from, to);
    },
    remove: async (path) => {
      writable(path);
      return local.remove(path);
    },
    lock: async (path) => {
      writable(path);
      return local.lock(path);
    },
  };
}
