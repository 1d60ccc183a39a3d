/** What a run writes while it goes on: metrics.jsonl and TensorBoard events, a line every `logging_steps` or every step. */
import { TensorBoardWriter } from '../formats/tensorboard.ts';
import type { FileSink, FileSystem } from '../runtime/runtime.ts';
import type { Clock } from './clock.ts';
import type { Metrics } from './hooks.ts';
import { LogInterval } from './log-interval.ts';
import type { TrainerState } from './trainer-state.ts';

/** How far a log is, for a checkpoint. */
export type LogPosition = Pick<TrainerState, 'metrics_offset' | 'tensorboard' | 'log_interval'>;

export class RunLog {
  readonly #sink: FileSink;
  readonly #board: TensorBoardWriter;
  readonly #interval: LogInterval;
  #offset: number;

  private constructor(sink: FileSink, board: TensorBoardWriter, offset: number, interval: LogInterval) {
    this.#sink = sink;
    this.#board = board;
    this.#offset = offset;
    this.#interval = interval;
  }

  /** @param position where a checkpoint continues; what was written after it is cut off */
  static async open(files: FileSystem, directory: string, position?: LogPosition): Promise<RunLog> {
    const path = `${directory}/metrics.jsonl`;
    const offset = position?.metrics_offset ?? 0;
    const sink = offset > 0 ? await files.append(path, offset) : await files.create(path);
    const board = await TensorBoardWriter.open(files, directory, { resume: position?.tensorboard });
    return new RunLog(sink, board, offset, new LogInterval(position?.log_interval));
  }

  /**
   * Notes a step.
   * @param isDue the interval ends with it: its means are written, with the time they took
   * @param everyStep writes the step's own values instead, whether it is due or not
   * @returns the means over the interval, when it is due
   */
  async step(
    step: number,
    metrics: Metrics,
    clock: Clock,
    { isDue, everyStep }: { readonly isDue: boolean; readonly everyStep: boolean },
  ): Promise<Metrics | undefined> {
    this.#interval.add(metrics);
    if (everyStep) await this.write(step, { ...metrics, ...clock.lap() });
    if (!isDue) return undefined;
    const means = this.#interval.take();
    if (!everyStep) await this.write(step, { ...means, ...clock.lap() });
    return means;
  }

  /** Writes a line as it stands, such as an evaluation. */
  async write(step: number, metrics: Metrics): Promise<void> {
    const line = `${JSON.stringify({ step, ...metrics })}\n`;
    await this.#sink.write(line);
    this.#offset += new TextEncoder().encode(line).length;
    await this.#board.scalars(step, metrics);
  }

  get position(): LogPosition {
    const { file, offset } = this.#board;
    return {
      metrics_offset: this.#offset,
      tensorboard: { file, offset },
      log_interval: this.#interval.state,
    };
  }

  async close(): Promise<void> {
    await this.#sink.close();
    await this.#board.close();
  }
}
