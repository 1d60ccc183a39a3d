/** What a training run tells whoever watches it: the command line, a page, a test. */

import type { RankReport } from './rank-report.ts';

/** Metrics by their TRL names. */
export type Metrics = Readonly<Record<string, number>>;

export interface RunStart {
  readonly totalSteps: number;
  /** 0, or the steps that a resumed run has behind it. */
  readonly firstStep: number;
  /** The device's name and driver as the driver gives them. */
  readonly device: string;
  readonly predictedPeakBytes: number;
  /** Of several ranks: each of them. */
  readonly ranks?: readonly RankReport[] | undefined;
}

export interface StepInfo {
  /** Optimizer steps done, 1-based. */
  readonly step: number;
  /** Of this step alone. */
  readonly metrics: Metrics;
  readonly tokensPerSecond: number;
  readonly secondsLeft: number;
  /** Every `logging_steps`: means over the steps since the last time. */
  readonly logged: Metrics | undefined;
}

/** A continuation of one held-out prompt, by the model before and after training. */
export interface Sample {
  readonly prompt: string;
  readonly before: string;
  readonly after: string;
}

export interface RunSummary {
  readonly outcome: 'finished' | 'interrupted';
  readonly step: number;
  readonly totalSteps: number;
  readonly seconds: number;
  /** Pipelines that were compiled, and the time in which at least one was being compiled. */
  readonly compiled: { readonly pipelines: number; readonly seconds: number };
  readonly predictedPeakBytes: number;
  /** GPU memory that was really held at most. */
  readonly peakBytes: number;
  /** Of several ranks: each of them. The numbers above are of rank 0. */
  readonly ranks?: readonly RankReport[] | undefined;
  /** Seconds of the steps that this process took. */
  readonly stepSeconds?: number;
  /** On a CPU adapter, whose memory is the process's own: what the process held at the end, where the runtime tells. */
  readonly residentBytes: number | undefined;
  /** Evaluation before the first step and after the last one, where there is data to evaluate on. */
  readonly before?: Metrics;
  readonly after?: Metrics;
  readonly samples?: readonly Sample[];
  /** The checkpoint of the best model, where a metric says which that is. */
  readonly best?: string | undefined;
  /** The checkpoint to resume from, when the run was interrupted. */
  readonly checkpoint?: string;
  /** What was written, with a word on each: 'model', 'metrics', 'TensorBoard events'. */
  readonly files: readonly { readonly what: string; readonly path: string }[];
}

/** What whoever watches may be told. All of it returns at once; the run does not wait for a screen. */
export interface RunHooks {
  /** Something worth a line: rows dropped, buckets planned, the reference cached. */
  note(line: string): void;
  start(info: RunStart): void;
  step(info: StepInfo): void;
  evaluated(metrics: Metrics, step: number): void;
  checkpoint(path: string): void;
  /** Asked after every step; true makes the run write a checkpoint and end with 'interrupted'. */
  shouldStop(): boolean;
  finish(summary: RunSummary): void;
}

/** Whoever watches gives those that it wants to hear of. */
export type TrainHooks = Partial<RunHooks>;

/** With something to call for every hook that was not given. */
export function allHooks(hooks: TrainHooks): RunHooks {
  return {
    note: (line) => hooks.note?.(line),
    start: (info) => hooks.start?.(info),
    step: (info) => hooks.step?.(info),
    evaluated: (metrics, step) => hooks.evaluated?.(metrics, step),
    checkpoint: (path) => hooks.checkpoint?.(path),
    shouldStop: () => hooks.shouldStop?.() ?? false,
    finish: (summary) => hooks.finish?.(summary),
  };
}
