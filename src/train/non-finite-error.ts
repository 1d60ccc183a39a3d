import { RunError } from '../errors.ts';

/** What is known of a step whose loss or gradient was not finite. */
export interface NonFiniteStep {
  /** The first such step, 1-based. */
  readonly step: number;
  /** Where its rows stand: 'FILE:LINE'. */
  readonly rows: readonly string[];
  readonly loss: number;
  readonly gradientNorm: number;
  /** The tensor in which it began, where that was looked for. */
  readonly where: string | undefined;
}

/** A loss or gradient that is infinite or not a number. */
export class NonFiniteError extends RunError {
  /** The first such step, 1-based. */
  readonly step: number;

  constructor({ step, rows, loss, gradientNorm, where }: NonFiniteStep) {
    super(
      `Step ${step}: loss ${loss}, gradient norm ${gradientNorm}; the step changed nothing. ` +
        `Its rows are ${rows.join(', ')}. Look at them, or lower training.learning_rate. ` +
        (where ?? '"training.debug: underflow_overflow" finds the first tensor that is not finite.'),
    );
    this.step = step;
  }
}
