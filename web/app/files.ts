/** Bring your own: a Hugging Face folder, a PEFT adapter, rows of pairs, score files and metrics of a run elsewhere. */
import type { NamedFile, PairText, ScoredPair, ScoredSide } from '../worker/protocol.ts';
import { chart, removeCharts } from './charts.ts';
import { fill, h } from './dom.ts';

export interface FilesOptions {
  fail(error: unknown): void;
  /** @returns a line on what was loaded */
  loadModel(files: readonly NamedFile[]): Promise<string>;
  loadPairs(name: string, file: Blob): Promise<string>;
  /** Scores that were computed elsewhere. */
  showScores(pairs: readonly PairText[], scores: readonly ScoredPair[]): void;
}

export function filesPanel(options: FilesOptions): HTMLElement {
  const status = h('p', { 'data-testid': 'files-status', 'aria-live': 'polite' });
  const charts = h('div', { class: 'charts' });
  const input = h('input', {
    type: 'file',
    multiple: true,
    'data-testid': 'files',
    'aria-label': 'files to open',
  });
  const take = (files: readonly NamedFile[]) =>
    void open(files, options, charts)
      .then((text) => fill(status, text))
      .catch(options.fail);
  input.addEventListener('change', () =>
    take([...(input.files ?? [])].map((file) => ({ path: file.webkitRelativePath || file.name, file }))),
  );
  const zone = h(
    'div',
    { class: 'drop', 'data-testid': 'drop' },
    h(
      'p',
      {},
      'Drop a model folder (config.json, safetensors, tokenizer.json), a PEFT adapter, rows of pairs (.jsonl), a score file or metrics.jsonl here. Nothing leaves this page.',
    ),
    input,
  );
  zone.addEventListener('dragover', (event) => event.preventDefault());
  zone.addEventListener('drop', (event) => {
    event.preventDefault();
    const entries = [...(event.dataTransfer?.items ?? [])].map((item) => item.webkitGetAsEntry());
    void Promise.all(entries.map((entry) => (entry === null ? [] : filesUnder(entry))))
      .then((found) => take(found.flat()))
      .catch(options.fail);
  });
  return h('div', { class: 'form' }, zone, status, charts);
}

/** All files of a dropped file or folder, by their path in it. */
async function filesUnder(entry: FileSystemEntry): Promise<NamedFile[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject),
    );
    return [{ path: entry.fullPath.replace(/^\//, ''), file }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: NamedFile[] = [];
  // A reader hands out at most 100 entries at a time, and none when it is through.
  for (;;) {
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (entries.length === 0) return found;
    for (const inside of entries) found.push(...(await filesUnder(inside)));
  }
}

/** Does what the files are for. @throws Error with a sentence for the user */
async function open(files: readonly NamedFile[], options: FilesOptions, charts: Element): Promise<string> {
  const named = (end: string) => files.find(({ path }) => path.endsWith(end));
  if (named('.safetensors') !== undefined || named('adapter_config.json') !== undefined)
    return options.loadModel(files);
  const rows = named('.jsonl') ?? named('.json');
  if (rows === undefined)
    throw new Error(
      `${files.map(({ path }) => path).join(', ') || 'Nothing'}: this is neither a model folder nor a .jsonl of pairs, scores or metrics.`,
    );
  const [first] = parseLines(rows.path, await rows.file.slice(0, 2 ** 20).text(), 1);
  if ('step' in first) {
    const metrics = parseLines(rows.path, await rows.file.text());
    showMetrics(metrics as Record<string, number>[], charts);
    return `${rows.path}: metrics of ${metrics.length} lines`;
  }
  if (isScored(first)) {
    const lines = parseLines(rows.path, await rows.file.text()).filter(isScored);
    options.showScores(lines.map(textOf), lines.map(scoredOf));
    return `${rows.path}: scores of ${lines.length} pairs`;
  }
  return `${rows.path}: ${await options.loadPairs(rows.path, rows.file)}`;
}

function parseLines(path: string, text: string, most = Number.POSITIVE_INFINITY): object[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  if (lines.length === 0) throw new Error(`${path}: the file is empty.`);
  return lines.slice(0, most).map((line, i) => {
    try {
      return JSON.parse(line) as object;
    } catch {
      throw new Error(`${path}:${i + 1}: this line is not JSON.`);
    }
  });
}

/** A line of `prefgrad score`. */
interface ScoreLine {
  readonly prompt: { readonly token_ids: number[] };
  readonly chosen: Omit<ScoredSide, 'cut'>;
  readonly rejected: Omit<ScoredSide, 'cut'>;
}

function isScored(line: unknown): line is ScoreLine {
  return typeof line === 'object' && line !== null && 'chosen' in line && typeof line.chosen === 'object';
}

function textOf({ chosen, rejected }: ScoreLine): PairText {
  return { prompt: '', chosen: chosen.tokens.join(''), rejected: rejected.tokens.join('') };
}

function scoredOf({ prompt, chosen, rejected }: ScoreLine): ScoredPair {
  const sum = (values: readonly number[] = []) => values.reduce((a, b) => a + b, 0);
  const terms = (side: ScoreLine['chosen']) => sum(side.contributions ?? side.rewards);
  const sums = { chosen: terms(chosen), rejected: terms(rejected) };
  return {
    prompt: { token_ids: prompt.token_ids, tokens: prompt.token_ids.map(String) },
    chosen: { ...chosen, cut: [] },
    rejected: { ...rejected, cut: [] },
    sums,
    margin: sums.chosen - sums.rejected,
  };
}

function showMetrics(lines: readonly Record<string, number>[], charts: Element): void {
  const names = ['loss', 'rewards/margins', 'rewards/accuracies', 'grad_norm'];
  const steps = lines.filter((line) => 'loss' in line);
  removeCharts(charts);
  fill(
    charts,
    ...names
      .filter((name) => steps.some((line) => name in line))
      .map(
        (name) =>
          chart(name, { name: 'step', values: steps.map(({ step }) => step) }, [
            { name, values: steps.map((line) => line[name] ?? null) },
          ]).element,
      ),
  );
}
