/** What `prefgrad score` asks for. */
import type { Columns } from '../data/columns.ts';
import type { DataReport } from '../data/prepare.ts';
import type { DataFormat } from '../data/rows.ts';
import type { Truncation } from '../data/truncation.ts';
import type { BmcSettings } from '../objectives/bmc.ts';
import type { Runtime } from '../runtime/runtime.ts';

export interface ScoreOptions {
  readonly model: string;
  readonly reference: string | undefined;
  readonly data: string;
  readonly out: string;
  readonly objective:
    | { readonly name: string; readonly settings: Readonly<Record<string, unknown>> }
    | undefined;
  readonly bmc: BmcSettings | undefined;
  readonly maxLength: number | undefined;
  readonly truncation: Truncation;
  readonly columns: Columns;
  readonly format: DataFormat;
  readonly adapter: string | undefined;
}

/** src/evaluate/score.ts. */
interface ScoreModule {
  scoreFile(runtime: Runtime, options: ScoreOptions): Promise<DataReport>;
}

/** Loaded when it is called, so that `--help` stays fast. */
export async function loadScore(): Promise<ScoreModule> {
  const path: string = '../evaluate/score.ts';
  return (await import(path)) as ScoreModule;
}
