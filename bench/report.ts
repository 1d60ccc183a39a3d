/** What a benchmark leaves: a Markdown table on the screen and, with --out, a JSON file that anyone can compare with. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import type { Gpu } from '../src/engine.ts';

export interface Row {
  readonly work: string;
  readonly shape: string;
  /** Of rows that show how cost grows: where the row stands on that axis. */
  readonly size?: number;
  /** Median milliseconds. */
  readonly ours_ms: number;
  /** What ours is held against: 'copy-limit', 'gemm-limit', 'tile16', another library, another method. */
  readonly peer: string;
  readonly peer_ms: number;
  /** peer_ms / ours_ms. */
  readonly ratio: number;
  /** The result was compared with an independent one before anything was timed. */
  readonly checked: boolean;
  readonly note: string;
}

export interface Report {
  readonly adapter: string;
  readonly driver: string;
  readonly date: string;
  readonly commit: string;
  readonly rows: readonly Row[];
}

export function reportOf(gpu: Gpu, rows: readonly Row[]): Report {
  return {
    adapter: gpu.adapterName,
    driver: gpu.driver,
    date: new Date().toISOString(),
    commit: commitNow(),
    rows,
  };
}

let lines: string | undefined;

/** From now on, every row is also appended to a file as it is measured: what a run that is cut short leaves. */
export function appendRowsTo(path: string): void {
  lines = path;
}

/** The row, appended as a line of JSON where that was asked for. */
export function measured(row: Row): Row {
  if (lines !== undefined) appendFileSync(lines, `${JSON.stringify(row)}\n`);
  return row;
}

/** Prints the report, and writes it where `out` says. */
export function publish(report: Report, out: string | undefined): void {
  console.log(markdown(report));
  if (out !== undefined) writeFileSync(out, `${JSON.stringify(report, null, 2)}\n`);
}

export function markdown({ adapter, driver, date, commit, rows }: Report): string {
  const cells = rows.map((r) => [
    r.work,
    r.shape,
    r.ours_ms.toFixed(2),
    r.peer,
    r.peer_ms.toFixed(2),
    r.ratio.toFixed(3),
    r.checked ? 'yes' : 'NO',
    r.note,
  ]);
  const head = ['work', 'shape', 'ours ms', 'peer', 'peer ms', 'ratio', 'checked', 'note'];
  const line = (values: readonly string[]) => `| ${values.join(' | ')} |`;
  return [
    `${adapter} (${driver}), ${date}, ${commit}`,
    '',
    line(head),
    line(head.map(() => '---')),
    ...cells.map(line),
  ].join('\n');
}

/** The commit under test, with a mark when the tree differs from it. Outside a clone, what package.json says of it. */
export function commitNow(): string {
  try {
    const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8', stdio: 'pipe' }).trim();
    return (
      git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', 'src', 'kernels') === '' ? '' : '+')
    );
  } catch {
    return (JSON.parse(readFileSync('package.json', 'utf8')) as { commit?: string }).commit ?? 'unknown';
  }
}
