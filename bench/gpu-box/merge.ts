/**
 * npm run bench -- merge RESULTS: takes what bench.sh left on a GPU box, row by row, into bench/results/gpu-ADAPTER.json, and all
 * such files into README's table. A phase that was cut short counts with the rows that it had measured.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { markdown, type Report, type Row } from '../report.ts';

/** README's table stands between these. */
const BEGIN = '<!-- results of GPUs: npm run bench -- merge -->';
const END = '<!-- end of results of GPUs -->';

/** What `prefgrad doctor --json` says that matters here. */
interface Doctor {
  readonly version: string;
  readonly adapters: readonly {
    readonly isChosen: boolean;
    readonly vendor: string;
    readonly architecture: string;
    readonly device: string;
    readonly description: string;
  }[];
}

export interface Places {
  readonly results: string;
  readonly readme: string;
}

const HERE: Places = { results: 'bench/results', readme: 'README.md' };

/** @throws Error where the folder has no doctor.json, or README no place for the table */
export function merge(folder: string, { results, readme }: Places = HERE): void {
  const report = reportIn(folder);
  const slug = report.adapter
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replace(/-$/, '');
  const path = join(results, `gpu-${slug}.json`);
  writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`);
  const reports = readdirSync(results)
    .filter((name) => name.startsWith('gpu-') && name.endsWith('.json'))
    .sort()
    .map((name) => JSON.parse(readFileSync(join(results, name), 'utf8')) as Report);
  const text = readFileSync(readme, 'utf8');
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${readme} has no lines ${BEGIN} and ${END}.`);
  const table = reports.map(markdown).join('\n\n');
  writeFileSync(readme, `${text.slice(0, begin + BEGIN.length)}\n\n${table}\n\n${text.slice(end)}`);
  console.log(`${report.rows.length} rows in ${path} and ${readme}.`);
}

function reportIn(folder: string): Report {
  const names = readdirSync(folder);
  if (!names.includes('doctor.json')) throw new Error(`${folder} has no doctor.json: phase 1 writes it.`);
  const doctor = JSON.parse(readFileSync(join(folder, 'doctor.json'), 'utf8')) as Doctor;
  const chosen = doctor.adapters.find(({ isChosen }) => isChosen);
  if (chosen === undefined) throw new Error(`${folder}/doctor.json names no chosen device.`);
  const { vendor, architecture, device, description } = chosen;
  const stamp = JSON.parse(readFileSync(join(folder, 'box.json'), 'utf8')) as {
    date: string;
    commit: string;
  };
  const rows = names
    .filter((name) => name.endsWith('.jsonl'))
    .sort()
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n'))
    // The last line of a phase that was killed may be cut.
    .flatMap((line) => rowOf(line));
  const adapter = [vendor, architecture, device].filter((part) => part !== '').join(' ');
  return { adapter, driver: description, ...stamp, rows };
}

/** The row of a line; none for lines that are no rows, such as those of conformance cases. */
function rowOf(line: string): Row[] {
  try {
    const row = JSON.parse(line) as Partial<Row>;
    return row.work === undefined ? [] : [row as Row];
  } catch {
    return [];
  }
}
