/** Any program as a rater: it reads a line of JSON per prompt and answers each with one line; see line-protocol.ts. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { RunError } from '../../errors.ts';
import { ResponseError } from '../../llm/response.ts';
import { parseScores, ratingLine } from '../../preferences/raters/line-protocol.ts';
import type { Rater } from '../../preferences/raters/rater.ts';

interface Waiting {
  readonly count: number;
  resolve(scores: readonly number[]): void;
  reject(error: Error): void;
}

/** @param command run by the shell; started once, and told everything through its standard input */
export function commandRater(command: string): Rater {
  let program: Program | undefined;
  return {
    settings: { kind: 'command', command },
    rate(task) {
      program ??= new Program(command);
      return program.ask(ratingLine(task), task.answers.length);
    },
    close: async () => program?.close(),
  };
}

class Program {
  readonly #command: string;
  readonly #child: ChildProcessWithoutNullStreams;
  /** In the order in which they were asked, which is the order of the answers. */
  readonly #waiting: Waiting[] = [];
  #stderr = '';
  #ended: RunError | undefined;

  constructor(command: string) {
    this.#command = command;
    this.#child = spawn(command, { shell: true });
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#answer(line));
    this.#child.stderr.on('data', (chunk) => {
      this.#stderr = (this.#stderr + chunk).slice(-2000);
    });
    // A program that has ended closes its input; its exit says why.
    this.#child.stdin.on('error', () => {});
    this.#child.on('close', (code, signal) => {
      this.#end(
        `ended with ${signal ?? code} before every prompt was rated: ${this.#stderr.trim() || 'no message'}`,
      );
    });
  }

  ask(line: string, count: number): Promise<readonly number[]> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ count, resolve, reject });
      this.#child.stdin.write(`${line}\n`);
    });
  }

  close(): void {
    this.#child.stdin.end();
  }

  #answer(line: string): void {
    const next = this.#waiting.shift();
    if (next === undefined) return;
    try {
      next.resolve(parseScores(line, next.count));
    } catch (error) {
      if (!(error instanceof ResponseError)) throw error;
      next.reject(new RunError(`${this.#command}: ${error.message}`));
    }
  }

  #end(message: string): void {
    this.#ended = new RunError(`${this.#command}: ${message}`);
    for (const { reject } of this.#waiting.splice(0)) reject(this.#ended);
  }
}
