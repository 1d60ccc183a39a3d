/** What commands share: where they write, the machine they run on, and how they end. */
import type { Runtime } from '../runtime/runtime.ts';

export interface Cli {
  /** Results: stdout. */
  out(text: string): void;
  /** Progress and problems: stderr. Of several ranks the first is heard. */
  err(text: string): void;
  /** stderr, for what one of several ranks has to say by itself. */
  errOfRank?(text: string): void;
  /** The terminal that progress is drawn on; undefined where stderr is a file or a pipe. */
  readonly terminal: NodeJS.WriteStream | undefined;
  runtime(): Promise<Runtime>;
  /** Told before a command begins, such as 'evaluate task'. @throws InputError for one that cannot run here */
  begin?(command: string): void;
  /** Set by a command that ends otherwise than with 0 and without an error. */
  exitCode: number;
}

/** Options of the program itself, which every command also takes. */
export interface GlobalOptions {
  readonly device?: string;
}
