/** What `planAdapter` decides. */
export type AdapterPlan =
  /** Write the files, then run the commands. */
  | { kind: 'install'; files: { path: string; text: string }[]; commands: string[][] }
  /** Not root: the one command for the user to run. */
  | { kind: 'ask'; command: string }
  /** Nothing this script can do: what to tell the user. */
  | { kind: 'manual'; lines: string[] };

export interface Machine {
  platform: string;
  osRelease: string;
  uid: number;
  aptSources: { path: string; text: string }[];
  command: string;
}

/** An adapter that needs no root. */
export interface Rung {
  name: 'lavapipe-matrices' | 'swiftshader';
  /** Why this machine cannot have it. */
  obstacle: string | undefined;
  /** What apt shall take it from: the text of a sources.list. */
  sources?: string;
}

export function planWithoutRoot(machine: {
  platform: string;
  arch: string;
  programs: readonly string[];
  aptSources: readonly { path: string; text: string }[];
}): Rung[];

export function planAdapter(
  machine: Machine,
  wanted: readonly ('lavapipe' | 'chromium' | 'mpi')[],
): AdapterPlan;
export function parseOsRelease(text: string): Record<string, string>;
