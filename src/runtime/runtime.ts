/**
 * The one interface behind which Node, Deno and the browser hide. Nothing outside this folder asks which one it is.
 */
import type { Ranks } from './ranks.ts';

/** A readable file of any size. Multi-gigabyte checkpoints are read range by range, never whole. */
export interface FileSource {
  /** Name used in error messages: a path, a URL or the name of a dropped file. */
  readonly name: string;
  /** Size in bytes. */
  readonly size: number;
  /** Reads `length` bytes from `offset`; throws when the range does not lie inside the file. */
  readRange(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/** An open file that is written front to back. */
export interface FileSink {
  write(bytes: Uint8Array | string): Promise<void>;
  /** Flushes to stable storage (fsync) where there is such a thing, then closes. */
  close(): Promise<void>;
}

/** The file operations training needs. Paths use '/'. In the browser this is a tree in memory. */
export interface FileSystem {
  open(path: string): Promise<FileSource>;
  readText(path: string): Promise<string>;
  /** Creates or truncates. Parent directories must exist. */
  create(path: string): Promise<FileSink>;
  /**
   * Opens for appending at `offset`, after cutting the file back to it (undefined: at its end). A missing file is made;
   * an offset that the file does not have is an InputError.
   */
  append(path: string, offset?: number): Promise<FileSink>;
  exists(path: string): Promise<boolean>;
  /**
   * Where output for `path` goes, behind symbolic links. `replaceable` is false for what is there and no regular file, such as
   * a pipe or /dev/null, or lies in a directory that is only read: it is written into.
   * @throws InputError for a directory, and for what may not be written
   */
  outputTarget(path: string): Promise<OutputTarget>;
  isDirectory(path: string): Promise<boolean>;
  /** Names (not paths) in a directory, sorted. */
  list(path: string): Promise<string[]>;
  makeDirectory(path: string): Promise<void>;
  /** Atomic within one file system; the directory entry is made durable. Replaces a file, but no directory. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file or a tree; silent when it does not exist. */
  remove(path: string): Promise<void>;
  /**
   * Creates `path` exclusively, as a lock; returns the release, or null when somebody holds it. A lock whose process is
   * gone is taken over.
   */
  lock(path: string): Promise<(() => Promise<void>) | null>;
}

/** Where an output goes. */
export interface OutputTarget {
  readonly path: string;
  /** A complete file may take its place. */
  readonly replaceable: boolean;
}

export interface DeviceChoice {
  /**
   * 'auto' takes the first GPU, else a CPU driver. Otherwise a part of the device's name, in any case, 'lavapipe' or
   * 'swiftshader' for a CPU driver, or a place in `deviceNames`. In Node and Deno the environment variable
   * PREFGRAD_DEVICE gives the default.
   */
  device?: string;
  /** Node only: Dawn backend, 'vulkan' | 'metal' | 'd3d12' | 'null'. */
  backend?: string;
}

export interface Runtime {
  readonly name: 'node' | 'deno' | 'browser';
  readonly files: FileSystem;
  /**
   * The WebGPU entry point. Throws `NoAdapterError` with the remedy when the machine has none.
   * @internal
   */
  requestAdapter(choice?: DeviceChoice): Promise<GPUAdapter>;
  /** Names under which `requestAdapter` gives each device of this machine, in an order that does not change. */
  deviceNames(): Promise<string[]>;
  /** Every file of kernels/, by its name relative to that folder: 'norm/rms_norm_forward.wgsl' -> source text. */
  kernelSources(): Promise<Record<string, string>>;
  /** Where this user's caches lie; undefined in a browser. */
  cacheDirectory(): string | undefined;
  /** 'gpu' uses a GPU's forms of kernels on any adapter: PREFGRAD_PROFILE, for tests. */
  readonly profile?: 'auto' | 'gpu';
  /** The processes that compute together; ONE_RANK unless several were started. */
  readonly ranks: Ranks;
  /** One rank of several by itself, with its device and files of its own: for work that no other rank shares. */
  readonly apart?: Runtime;
  /** Resident bytes of this process, where the platform tells (Node, Deno), else undefined. */
  residentBytes(): number | undefined;
}
