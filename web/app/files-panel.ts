/** Bring your own: models, adapters, runs, rows, score files; dropped or chosen. And what is open already. */
import { fill, h } from './dom.ts';
import type { Library } from './library.ts';
import type { Item } from './opened.ts';

export interface FilesOptions {
  readonly library: Library;
  /** @returns a line on what was opened */
  take(items: readonly Item[]): Promise<string>;
  fail(error: unknown): void;
}

export class FilesPanel {
  readonly element: HTMLElement;
  readonly #status = h('p', { 'data-testid': 'files-status', 'aria-live': 'polite' });
  readonly #open = h('ul', { class: 'open-sources', 'data-testid': 'open-sources' });
  readonly #options: FilesOptions;

  constructor(options: FilesOptions) {
    this.#options = options;
    const files = this.#input('files', 'Choose files', false);
    const folder = this.#input('folder', 'Choose a folder', true);
    const zone = h(
      'div',
      { class: 'drop', 'data-testid': 'drop' },
      h(
        'p',
        {},
        'Drop a model folder, a PEFT adapter, a run directory, rows of pairs (.jsonl) or a score file. Nothing leaves this page.',
      ),
      files,
      folder,
    );
    this.element = h('div', { class: 'form' }, zone, this.#status, h('h4', {}, 'open now'), this.#open);
    this.list();
  }

  /** What is open, with where it comes from. */
  list(): void {
    const { library } = this.#options;
    const { rows } = library;
    fill(
      this.#open,
      h('li', {}, h('b', {}, rows.name), `: ${rows.pairs.length} pairs, ${rows.origin}`),
      ...library.entries.map(({ name, origin, kind }) =>
        h('li', {}, h('b', {}, name), `: ${kind}, ${origin}`),
      ),
      ...library.runs.map(({ name, metrics }) =>
        h('li', {}, h('b', {}, name), `: metrics of ${metrics.length} lines`),
      ),
    );
  }

  take(items: readonly Item[]): void {
    fill(this.#status, `reading ${items.length} files …`);
    void this.#options
      .take(items)
      .then((text) => fill(this.#status, text))
      .catch((error: unknown) => {
        fill(this.#status);
        this.#options.fail(error);
      })
      .finally(() => this.list());
  }

  #input(testid: string, label: string, folder: boolean): HTMLElement {
    const input = h('input', {
      type: 'file',
      multiple: true,
      webkitdirectory: folder,
      'data-testid': testid,
    });
    input.addEventListener('change', () => {
      this.take([...(input.files ?? [])].map((file) => itemOf(file.webkitRelativePath || file.name, file)));
      input.value = '';
    });
    return h('label', { class: 'field' }, h('span', {}, label), input);
  }
}

function itemOf(path: string, file: File): Item {
  return { path, blob: async () => file };
}

/** What was dropped, folders with all that is in them. */
export async function droppedItems(transfer: DataTransfer | null): Promise<Item[]> {
  const entries = [...(transfer?.items ?? [])].map((item) => item.webkitGetAsEntry());
  const found = await Promise.all(entries.map((entry) => (entry === null ? [] : itemsUnder(entry))));
  return found.flat();
}

async function itemsUnder(entry: FileSystemEntry): Promise<Item[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject),
    );
    return [itemOf(entry.fullPath.replace(/^\//, ''), file)];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: Item[] = [];
  // A reader hands out at most 100 entries at a time, and none when it is through.
  for (;;) {
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (entries.length === 0) return found;
    for (const inside of entries) found.push(...(await itemsUnder(inside)));
  }
}
