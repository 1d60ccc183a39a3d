/** What a run writes while it goes on: metrics.jsonl and TensorBoard events. */
import { TensorBoardWriter } from '../formats/tensorboard.ts';
import type { FileSink, FileSystem } from '../runtime/runtime.ts';
import type { Metrics } from './hooks.ts';
import type { TrainerState } from './trainer-state.ts';

/** How far a log is, for a checkpoint. */
export type LogPosition = Pick<TrainerState, 'metrics_offset' | 'tensorboard'>;

export class RunLog {
  readonly #sink: FileSink;
  readonly #board: TensorBoardWriter;
  #offset: number;

  private constructor(sink: FileSink, board: TensorBoardWriter, offset: number) {
    this.#sink = sink;
    this.#board = board;
    this.#offset = offset;
  }

  /** @param position where a checkpoint continues; what was written after it is cut off */
  static async open(files: FileSystem, directory: string, position?: LogPosition): Promise<RunLog> {
    const path = `${directory}/metrics.jsonl`;
    const offset = position?.metrics_offset ?? 0;
    const sink = offset > 0 ? await files.append(path, offset) : await files.create(path);
    const board = await TensorBoardWriter.open(files, directory, { resume: position?.tensorboard });
    return new RunLog(sink, board, offset);
  }

  async write(step: number, metrics: Metrics): Promise<void> {
    const line = `${JSON.stringify({ step, ...metrics })}\n`;
    await this.#sink.write(line);
    this.#offset += new TextEncoder().encode(line).length;
    await this.#board.scalars(step, metrics);
  }

  get position(): LogPosition {
    const { file, offset } = this.#board;
    return { metrics_offset: this.#offset, tensorboard: { file, offset } };
  }

  async close(): Promise<void> {
    await this.#sink.close();
    await this.#board.close();
  }
}
