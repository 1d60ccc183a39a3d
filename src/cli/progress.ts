/** Shows a training run: a bar on a terminal, a line per `logging_steps` anywhere else, and a summary at the end. */
import { MultiBar, type SingleBar } from 'cli-progress';
import { formatBytes } from '../gpu/memory.ts';
import type { Metrics, RunHooks, RunStart, RunSummary, StepInfo } from '../train/hooks.ts';
import { duration, metric } from './units.ts';

/** Where progress goes. */
export interface Screen {
  /** Writes lines, each with its newline. */
  write(text: string): void;
  /** A terminal to draw the bar on. */
  readonly terminal: NodeJS.WriteStream | undefined;
}

const BAR = '{bar} {value}/{total} | {shown}';
/** Metrics that are shown while training, with the names that fit a narrow terminal. */
const SHOWN = [
  ['loss', 'loss'],
  ['rewards/accuracies', 'acc'],
  ['rewards/margins', 'margin'],
] as const;

/** Columns from which the bar has room for the metrics' full names. */
const WIDE = 120;

/** Hooks that must be closed, also after an error: the bar is redrawn by a timer. */
export interface ProgressHooks extends RunHooks {
  close(): void;
}

/** @param shouldStop asked after every step; see interrupt.ts */
export function progressHooks(screen: Screen, shouldStop: () => boolean): ProgressHooks {
  const isNarrow = (screen.terminal?.columns ?? WIDE) < WIDE;
  const bar = screen.terminal === undefined ? undefined : new ProgressBar(screen.terminal);
  const line = (text: string) => (bar?.isDrawn ? bar.log(text) : screen.write(`${text}\n`));
  let total = 0;
  return {
    note: line,
    start(info: RunStart) {
      total = info.totalSteps;
      line(`Device: ${info.device}`);
      if (info.ranks === undefined) line(`Predicted peak memory: ${formatBytes(info.predictedPeakBytes)}`);
      for (const [rank, { host, device, predictedPeakBytes }] of info.ranks?.entries() ?? [])
        line(`Rank ${rank}: ${device} on ${host}, predicted peak memory ${formatBytes(predictedPeakBytes)}`);
      if (info.firstStep > 0) line(`Resuming after step ${info.firstStep} of ${total}.`);
      bar?.start(total, info.firstStep);
    },
    step(info: StepInfo) {
      const { step, metrics, logged } = info;
      if (bar !== undefined) bar.update(step, stepText(info, metrics, isNarrow));
      else if (logged !== undefined) line(`step ${step}/${total} | ${stepText(info, logged, false)}`);
    },
    evaluated(metrics: Metrics, step: number) {
      const shown = Object.entries(metrics).map(([name, value]) => `${name} ${metric(value)}`);
      line(`Evaluation after step ${step}: ${shown.join(', ')}`);
    },
    checkpoint: (path) => line(`Checkpoint: ${path}`),
    shouldStop,
    finish(summary: RunSummary) {
      bar?.stop();
      screen.write(summaryText(summary));
    },
    close: () => bar?.stop(),
  };
}

function stepText({ tokensPerSecond, secondsLeft }: StepInfo, metrics: Metrics, isNarrow: boolean): string {
  const shown = SHOWN.filter(([name]) => metrics[name] !== undefined).map(
    ([name, short]) => `${isNarrow ? short : name} ${metric(metrics[name])}`,
  );
  return [...shown, `${Math.round(tokensPerSecond)} tokens/s`, `${duration(secondsLeft)} left`].join(' | ');
}

/** What came of the run: metrics before and after, samples, files. */
export function summaryText(summary: RunSummary): string {
  const { step, totalSteps, seconds, before = {}, after, samples = [], files } = summary;
  const verb = summary.outcome === 'finished' ? 'Finished' : 'Interrupted after';
  const lines = [
    `${verb} ${step} of ${totalSteps} steps in ${duration(seconds)}.`,
    compileText(summary),
    ...(summary.ranks === undefined ? [memoryText(summary)] : ranksText(summary)),
  ];
  if (after !== undefined) {
    const names = Object.keys(after);
    const width = Math.max(...names.map((name) => name.length));
    lines.push('', `${'held-out data'.padEnd(width)}  ${'before'.padStart(10)}  ${'after'.padStart(10)}`);
    for (const name of names) {
      const cells = [before[name], after[name]].map((value) => metric(value).padStart(10));
      lines.push(`${name.padEnd(width)}  ${cells.join('  ')}`);
    }
  }
  for (const { prompt, before: old, after: now } of samples) {
    lines.push('', `Prompt: ${prompt}`, `  before: ${oneLine(old)}`, `  after:  ${oneLine(now)}`);
  }
  if (files.length > 0) lines.push('', ...files.map(({ what, path }) => `${what}: ${path}`));
  return `${lines.join('\n')}\n`;
}

/** 'Compiled 61 pipelines in 4s.' */
function compileText({ compiled: { pipelines, seconds } }: RunSummary): string {
  return `Compiled ${pipelines} pipelines in ${duration(seconds)}.`;
}

/** 'Peak memory: 55.1 MiB (predicted 54.8 MiB, -0.5%); the process holds 310 MiB.' */
function memoryText({ predictedPeakBytes, peakBytes, residentBytes }: RunSummary): string {
  const resident = residentBytes === undefined ? '' : `; the process holds ${formatBytes(residentBytes)}`;
  return `Peak memory: ${peakText(peakBytes, predictedPeakBytes)}${resident}.`;
}

/** '55.1 MiB (predicted 54.8 MiB, -0.5%)' */
function peakText(peak: number, predicted: number): string {
  const error = 100 * (predicted / peak - 1);
  return `${formatBytes(peak)} (predicted ${formatBytes(predicted)}, ${error >= 0 ? '+' : ''}${error.toFixed(1)}%)`;
}

/** 'Rank 0: peak memory 55.1 MiB (predicted 54.8 MiB, -0.5%), 1200 tokens, 310 tokens/s.', and what all of them did together. */
function ranksText({ ranks = [], stepSeconds = 0 }: RunSummary): string[] {
  const speed = (tokens: number) =>
    stepSeconds > 0 ? `${tokens} tokens, ${Math.round(tokens / stepSeconds)} tokens/s` : `${tokens} tokens`;
  const total = ranks.reduce((sum, { tokens }) => sum + tokens, 0);
  const bytes = ranks.reduce((sum, { peakBytes }) => sum + peakBytes, 0);
  const each = ranks.map(
    ({ peakBytes, predictedPeakBytes, tokens }, i) =>
      `Rank ${i}: peak memory ${peakText(peakBytes, predictedPeakBytes)}, ${speed(tokens)}.`,
  );
  return [...each, `All ${ranks.length} ranks: peak memory ${formatBytes(bytes)}, ${speed(total)}.`];
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ').trim();
}

/** cli-progress with lines above the bar. */
class ProgressBar {
  readonly #bars: MultiBar;
  #bar: SingleBar | undefined;

  constructor(terminal: NodeJS.WriteStream) {
    this.#bars = new MultiBar({
      stream: terminal,
      format: BAR,
      barsize: 20,
      barCompleteChar: '=',
      barIncompleteChar: '-',
      hideCursor: false,
      gracefulExit: false,
      emptyOnZero: true,
    });
  }

  get isDrawn(): boolean {
    return this.#bar !== undefined;
  }

  start(total: number, first: number): void {
    this.#bar = this.#bars.create(total, first, { shown: 'first step' });
  }

  update(step: number, shown: string): void {
    this.#bar?.update(step, { shown });
  }

  log(text: string): void {
    this.#bars.log(`${text}\n`);
  }

  /** Draws the last state, and the lines that were still waiting for the next redraw. */
  stop(): void {
    if (this.#bar === undefined) return;
    this.#bars.update();
    this.#bars.stop();
    this.#bar = undefined;
  }
}
