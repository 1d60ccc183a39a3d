/** Whoever can say how good answers are: a reward model, a judge, a program, a rule. */
import type { JsonObject } from '../../data/json.ts';
import type { LlmRequest } from '../../llm/request.ts';
import type { Prompt } from '../dialogue.ts';

export interface RatingTask {
  readonly prompt: Prompt;
  readonly answers: readonly string[];
  /** The row, for raters that need more of it. */
  readonly row: JsonObject;
}

export interface Rater {
  /** Which one it is, and what decides its scores; written beside the output. */
  readonly settings: JsonObject;
  /**
   * One score per answer; more is better. Scores of different prompts need not compare.
   * @throws LlmError where it failed for now
   */
  rate(task: RatingTask): Promise<readonly number[]>;
  /** For --dry-run. */
  requests?(task: RatingTask): readonly LlmRequest[];
  close?(): Promise<void>;
}
