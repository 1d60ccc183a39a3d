/**
 * The run in training, kept where a reload does not reach it. Files are written first and state.json last: it names the
 * checkpoint that belongs to it, so that a page that is closed while it writes finds the checkpoint before.
 */
import { type TrainConfig, trainConfigFrom } from '../../src/engine.ts';
import type { MemoryFiles } from '../../src/index.ts';
import type { KeptRun, NamedFile } from './protocol.ts';
import { RUN, type RunRequest } from './training.ts';

/** A folder that outlives the page: its origin private file system, in tests a map. */
export interface KeptFolder {
  /** Paths of all files. */
  list(): Promise<readonly string[]>;
  read(path: string): Promise<Blob>;
  /** Replaces a file as a whole, or leaves it as it was. */
  write(path: string, file: Blob): Promise<void>;
  remove(path: string): Promise<void>;
}

interface State {
  readonly request: RunRequest;
  readonly config: TrainConfig;
  readonly step: number;
}

const STATE = 'state.json';
/** What does not change from its first step on. */
const FIXED = /^(base\/|start-adapter\/|pairs\.jsonl$)/;

export class RunKeeper {
  readonly #folder: KeptFolder;
  /** Since this page was opened: does the folder have the fixed files of the run? */
  #hasFixed = false;

  constructor(folder: KeptFolder) {
    this.#folder = folder;
  }

  /** Another run begins; what is kept of the one before stays until this one has something to keep. */
  begin(): void {
    this.#hasFixed = false;
  }

  /** Keeps a run as it is after `step` steps. @param files its directory, with that checkpoint */
  async keep(
    request: RunRequest,
    config: TrainConfig,
    step: number,
    files: readonly NamedFile[],
  ): Promise<void> {
    if (!this.#hasFixed) await this.clear();
    for (const { path, file } of files)
      if (!this.#hasFixed || !FIXED.test(path)) await this.#folder.write(path, file);
    this.#hasFixed = true;
    const state: State = { request, config, step };
    await this.#folder.write(STATE, new Blob([JSON.stringify(state)]));
    const known = new Set([STATE, ...files.map(({ path }) => path)]);
    for (const path of await this.#folder.list()) if (!known.has(path)) await this.#folder.remove(path);
  }

  /** What is kept; undefined where nothing is, or nothing that can be read. */
  async find(): Promise<(State & { readonly metrics: KeptRun['metrics'] }) | undefined> {
    const paths = await this.#folder.list();
    if (!paths.includes(STATE)) return undefined;
    const { request, config, step } = JSON.parse(await this.#text(STATE)) as State;
    const lines = paths.includes('metrics.jsonl') ? (await this.#text('metrics.jsonl')).split('\n') : [];
    const metrics = lines
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as KeptRun['metrics'][number])
      .filter((line) => line.step <= step);
    return { request, config: trainConfigFrom(config), step, metrics };
  }

  /** Puts the kept run's directory into the tree. */
  async restore(files: MemoryFiles, step: number): Promise<void> {
    await files.remove(RUN);
    for (const path of await this.#folder.list()) {
      const checkpoint = /^checkpoint-(\d+)\//.exec(path)?.[1];
      if (path !== STATE && (checkpoint === undefined || Number(checkpoint) === step))
        files.add(`${RUN}/${path}`, await this.#folder.read(path));
    }
    this.#hasFixed = true;
  }

  async clear(): Promise<void> {
    this.#hasFixed = false;
    const paths = await this.#folder.list();
    // The state first: what is left without it is no run.
    for (const path of [...paths].sort((a, b) => Number(b === STATE) - Number(a === STATE)))
      await this.#folder.remove(path);
  }

  async #text(path: string): Promise<string> {
    return (await this.#folder.read(path)).text();
  }
}
