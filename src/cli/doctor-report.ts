/** The doctor's findings as data, and as text for people. */
import { formatBytes } from '../gpu/memory.ts';
import type { Measurement } from './doctor-measure.ts';

export interface DeviceFacts {
  /** `--device INDEX` asks for exactly this one. */
  readonly index: number;
  /** What training would use. */
  readonly isChosen: boolean;
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  /** Driver and version, as the adapter tells them. */
  readonly description: string;
  readonly backend: string;
  readonly type: 'CPU' | 'GPU';
}

export interface FeatureFacts {
  readonly name: string;
  readonly present: boolean;
  /** What it is for; for a missing one, what happens without it. */
  readonly note: string;
}

export interface LimitFacts {
  readonly name: string;
  readonly value: number;
  readonly isBytes: boolean;
  readonly note: string;
}

export interface RankFacts {
  /** Open MPI's library, as it was found; undefined where it is missing. */
  readonly library: string | undefined;
  /** The name of the GPU that each rank of this machine takes, or of the CPU that all share. */
  readonly devices: readonly string[];
  /** Cards of one name that a process sees together: only the first can be reached. */
  readonly areAlike: boolean;
}

export interface DoctorReport {
  readonly version: string;
  /** Runtime and version, operating system and CPU. */
  readonly runtime: string;
  readonly system: string;
  readonly residentBytes: number | undefined;
  /** Description file of the CPU driver that set-up fetched from npm, where it did. */
  readonly fetchedDriver: string | undefined;
  readonly devices: readonly DeviceFacts[];
  readonly features: readonly FeatureFacts[];
  readonly limits: readonly LimitFacts[];
  /** Tile shapes of tensor cores: 'f16 x f16 -> f32 16x16x16'. */
  readonly subgroupMatrices: readonly string[];
  readonly measurement: Measurement | undefined;
  /** What ranks of mpirun would take. */
  readonly ranks: RankFacts;
  /** What is wrong or missing, and the command that fixes it. */
  readonly advice: readonly string[];
}

/** A product in f32 of the doctor's size must agree with f64 to this, else the driver miscomputes. */
export const MATMUL_TOLERANCE = 1e-5;

/** Sections with aligned columns. */
export function formatReport(report: DoctorReport): string {
  const sections = [
    section('System', table(systemRows(report))),
    section('Devices', report.devices.length === 0 ? ['none'] : report.devices.flatMap(deviceLines)),
  ];
  if (report.devices.length > 0) {
    sections.push(
      section('Features of the chosen device', table(report.features.map(featureRow))),
      section('Tensor-core shapes (M x N x K)', tensorCoreLines(report)),
      section('Limits of the chosen device', table(report.limits.map(limitRow))),
      section('Measured now on the chosen device', measuredLines(report.measurement)),
    );
  }
  sections.push(section('Ranks of a job (mpirun -n N)', rankLines(report.ranks)));
  const advice = report.advice.length === 0 ? ['nothing'] : report.advice.map((line) => `- ${line}`);
  sections.push(section('To do', advice));
  return `${sections.join('\n\n')}\n`;
}

function systemRows(report: DoctorReport): string[][] {
  const memory = report.residentBytes;
  return [
    ['prefgrad', report.version],
    ['runtime', report.runtime],
    ['system', report.system],
    ['resident memory', memory === undefined ? 'not known' : formatBytes(memory)],
    ...(report.fetchedDriver === undefined
      ? []
      : [['fetched driver', `${report.fetchedDriver} ("prefgrad cache clean" removes it)`]]),
  ];
}

function deviceLines(facts: DeviceFacts): string[] {
  const name = [facts.vendor, facts.architecture].filter((s) => s !== '').join(' ') || 'unknown';
  return [
    `${facts.index}: ${name} (${facts.type}, ${facts.backend})${facts.isChosen ? ', chosen' : ''}`,
    ...table([
      ['device', facts.device || '-'],
      ['driver', facts.description || '-'],
      ['to choose it', `--device ${facts.index}`],
    ]).map((line) => `   ${line}`),
  ];
}

function featureRow(feature: FeatureFacts): string[] {
  return [feature.present ? 'yes' : 'no', feature.name, feature.note];
}

function limitRow(limit: LimitFacts): string[] {
  return [limit.name, limit.isBytes ? formatBytes(limit.value) : String(limit.value), limit.note];
}

function tensorCoreLines({ subgroupMatrices }: DoctorReport): string[] {
  return subgroupMatrices.length === 0
    ? ['none: matrix products run on the ordinary units']
    : [...subgroupMatrices];
}

function measuredLines(measurement: Measurement | undefined): string[] {
  if (measurement === undefined) return ['nothing: the device did not open, see below'];
  const { copyGigabytesPerSecond, matmulSize, matmulGigaflops, matmulError } = measurement;
  const verdict = matmulError <= MATMUL_TOLERANCE ? 'correct' : 'WRONG';
  return table([
    ['copy', `${significant(copyGigabytesPerSecond)} GB/s`, 'read + written'],
    [
      `f32 matmul ${matmulSize}x${matmulSize}`,
      `${significant(matmulGigaflops)} GFLOP/s`,
      `${verdict}, error ${matmulError.toExponential(1)}`,
    ],
  ]);
}

function rankLines({ library, devices, areAlike }: RankFacts): string[] {
  const rows = [
    ['Open MPI', library ?? 'missing; only needed for several GPUs: apt-get install -y openmpi-bin'],
  ];
  if (devices.length === 1) rows.push(['every rank', devices[0]]);
  else devices.forEach((name, i) => void rows.push([`rank ${i}`, name]));
  const alike = 'Some cards have one name: let each rank see one alone, see docs/many-gpus.md.';
  return [...table(rows), ...(areAlike ? [alike] : [])];
}

function significant(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function section(title: string, lines: readonly string[]): string {
  return [title, ...lines.map((line) => `  ${line}`)].join('\n');
}

/** Left-aligned columns two spaces apart. */
function table(rows: readonly string[][]): string[] {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]))
      .join('  ')
      .trimEnd(),
  );
}
