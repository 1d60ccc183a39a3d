/** A file system in memory, for browsers. File contents are blobs, which browsers move to disk when they grow. */
import { InputError } from '../errors.ts';
import type { FileSink, FileSource, FileSystem, OutputTarget } from './runtime.ts';
import { blobSource } from './web-sources.ts';
import type { WebBlob } from './web-types.ts';

/** What stands at a path: a directory, contents, or a source that was put there. */
type Entry = 'directory' | Blob | FileSource;

export class MemoryFiles implements FileSystem {
  readonly #entries = new Map<string, Entry>([['', 'directory']]);

  /**
   * Puts a file into the tree with the directories above it: text, bytes, a dropped `File`, or a source such as
   * `fetchSource` gives. Sources can be read, but not written to.
   */
  add(path: string, content: string | Uint8Array<ArrayBuffer> | WebBlob | FileSource): void {
    const key = normalize(path);
    this.#makeDirectories(parentOf(key), path);
    const isRaw = typeof content === 'string' || content instanceof Uint8Array;
    this.#entries.set(key, isRaw ? new Blob([content]) : content);
  }

  /** The contents of a file, for a download. */
  async blob(path: string): Promise<WebBlob> {
    const entry = this.#file(path);
    return entry instanceof Blob ? entry : new Blob([await entry.readRange(0, entry.size)]);
  }

  async open(path: string): Promise<FileSource> {
    const entry = this.#file(path);
    return entry instanceof Blob ? blobSource(entry, path) : { ...entry, close: async () => {} };
  }

  async readText(path: string): Promise<string> {
    return (await this.blob(path)).text();
  }

  async create(path: string): Promise<FileSink> {
    const key = normalize(path);
    if (this.#entries.get(parentOf(key)) !== 'directory') throw missing(path);
    if (this.#entries.get(key) === 'directory') throw isDirectory(path);
    this.#entries.set(key, new Blob([]));
    return this.#sink(path, key);
  }

  async append(path: string, offset?: number): Promise<FileSink> {
    const key = normalize(path);
    const before = this.#entries.has(key) ? await this.blob(path) : undefined;
    if (offset !== undefined && offset > (before?.size ?? 0)) {
      throw new InputError(
        `${path}: was to be continued at byte ${offset}, but ${before === undefined ? 'is not there' : `has only ${before.size}`}.`,
      );
    }
    const sink = await this.create(path);
    if (before !== undefined) this.#entries.set(key, before.slice(0, offset ?? before.size));
    return sink;
  }

  async exists(path: string): Promise<boolean> {
    return this.#entries.has(normalize(path));
  }

  async outputTarget(path: string): Promise<OutputTarget> {
    const key = normalize(path);
    if (this.#entries.get(key) === 'directory') throw isDirectory(path);
    if (this.#entries.get(parentOf(key)) !== 'directory') throw missing(path);
    return { path, replaceable: true };
  }

  async isDirectory(path: string): Promise<boolean> {
    return this.#entries.get(normalize(path)) === 'directory';
  }

  async list(path: string): Promise<string[]> {
    const key = normalize(path);
    const entry = this.#entries.get(key);
    if (entry === undefined) throw missing(path);
    if (entry !== 'directory') throw new InputError(`${path}: is a file, but a directory was expected.`);
    const names = [...this.#entries.keys()].filter((k) => k !== '' && parentOf(k) === key);
    return names.map((k) => k.slice(k.lastIndexOf('/') + 1)).sort();
  }

  async makeDirectory(path: string): Promise<void> {
    this.#makeDirectories(normalize(path), path);
  }

  async rename(from: string, to: string): Promise<void> {
    const [source, target] = [normalize(from), normalize(to)];
    const entry = this.#entries.get(source);
    if (entry === undefined) throw missing(from);
    if (this.#entries.get(parentOf(target)) !== 'directory') throw missing(to);
    const isReplaced = entry !== 'directory' && this.#entries.get(target) !== 'directory';
    if (this.#entries.has(target) && !isReplaced) throw new InputError(`${to}: is there already.`);
    for (const key of this.#below(source)) {
      const moved = this.#entries.get(key);
      this.#entries.delete(key);
      if (moved !== undefined) this.#entries.set(target + key.slice(source.length), moved);
    }
  }

  async remove(path: string): Promise<void> {
    for (const key of this.#below(normalize(path))) if (key !== '') this.#entries.delete(key);
  }

  /** Nobody else sees this tree, so a lock only keeps one run of this page from another. */
  async lock(path: string): Promise<(() => Promise<void>) | null> {
    if (await this.exists(path)) return null;
    await (await this.create(path)).close();
    return () => this.remove(path);
  }

  #sink(path: string, key: string): FileSink {
    return {
      write: async (bytes) => {
        const before = this.#entries.get(key);
        if (!(before instanceof Blob)) throw missing(path);
        // A copy: the caller may use its array again.
        const part = typeof bytes === 'string' ? bytes : new Uint8Array(bytes);
        this.#entries.set(key, new Blob([before, part]));
      },
      close: async () => {},
    };
  }

  #file(path: string): Blob | FileSource {
    const entry = this.#entries.get(normalize(path));
    if (entry === undefined) throw missing(path);
    if (entry === 'directory') throw isDirectory(path);
    return entry;
  }

  /** The keys of an entry and of everything in it. */
  #below(key: string): string[] {
    return [...this.#entries.keys()].filter((k) => k === key || k.startsWith(key === '' ? '' : `${key}/`));
  }

  #makeDirectories(key: string, path: string): void {
    if (key === '' || this.#entries.get(key) === 'directory') return;
    this.#makeDirectories(parentOf(key), path);
    if (this.#entries.has(key))
      throw new InputError(`${path}: a part of this path is a file, not a directory.`);
    this.#entries.set(key, 'directory');
  }
}

function missing(path: string): InputError {
  return new InputError(`${path}: there is no such file or directory in this page.`);
}

function isDirectory(path: string): InputError {
  return new InputError(`${path}: is a directory, but a file was expected.`);
}

/** '/a//b/./c/../d' and 'a/b/d' are one path. */
function normalize(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

function parentOf(key: string): string {
  return key.slice(0, Math.max(0, key.lastIndexOf('/')));
}
