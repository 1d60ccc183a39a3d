/** The functions that commands call, loaded when they are called: `--help` needs no engine. */
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

interface Engine {
  scoreFile(runtime: Runtime, options: ScoreOptions): Promise<DataReport>;
  evaluateObjectivesFile(
    runtime: Runtime,
    options: { readonly input: string; readonly out: string; readonly adapter: string | undefined },
  ): Promise<void>;
}

const MODULES: Readonly<Record<keyof Engine, string>> = {
  scoreFile: '../evaluate/score.ts',
  evaluateObjectivesFile: '../evaluate/objectives-file.ts',
};

export async function engine<Name extends keyof Engine>(name: Name): Promise<Engine[Name]> {
  return ((await import(MODULES[name])) as Engine)[name];
}
