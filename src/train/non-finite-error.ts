import { RunError } from '../errors.ts';

/** What is known of a step whose loss or gradient was not finite. */
export interface NonFiniteStep {
  /** The first such step, 1-based. */
  readonly step: number;
  /** Lines of its rows in the training data. */
  readonly lines: readonly number[];
  readonly loss: number;
  readonly gradientNorm: number;
  /** The tensor in which it began, where that was looked for. */
  readonly where: string | undefined;
}

/** A loss or gradient that is infinite or not a number. */
export class NonFiniteError extends RunError {
  /** The first such step, 1-based. */
  readonly step: number;
  readonly #found: NonFiniteStep;

  constructor(found: NonFiniteStep, data = 'the training data') {
    const { step, lines, loss, gradientNorm, where } = found;
    super(
      `Step ${step}: loss ${loss}, gradient norm ${gradientNorm}; the step changed nothing. ` +
        `Its rows are lines ${lines.join(', ')} of ${data}. Look at them, or lower training.learning_rate. ` +
        (where ?? '"training.debug: underflow_overflow" finds the first tensor that is not finite.'),
    );
    this.step = step;
    this.#found = found;
  }

  /** The same, with the name of the file that the lines are of. */
  in(file: string): NonFiniteError {
    return new NonFiniteError(this.#found, file);
  }
}
