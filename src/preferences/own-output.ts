/**
 * `prefgrad own-output`: the ground truth as chosen, the model's own greedy answer as rejected (BMC's pairs for questions
 * and maths). Answers that equal the truth are dropped, and with a grader those that are right.
 */
import { type Columns, RowReader } from '../data/columns.ts';
import type { RawRow } from '../data/sources/raw-row.ts';
import type { LlmRequest, SamplingSettings } from '../llm/request.ts';
import type { CompletionModel } from './completion-model.ts';
import { answerLike, answerText, type Prompt, promptRequest, readPrompt, writtenRow } from './dialogue.ts';
import { type PromptShape, shaped } from './prompt-shape.ts';
import { samplingSettings } from './rollout.ts';
import type { RowStep } from './row-step.ts';

/** Is the answer right? */
export type Grade = (answer: string, truth: string, raw: RawRow) => boolean | Promise<boolean>;

export interface OwnOutputOptions {
  readonly model: CompletionModel;
  readonly modelName: string;
  readonly sampling: Omit<SamplingSettings, 'seed'>;
  readonly shape: PromptShape;
  /** Drops right answers. */
  readonly grader?: { readonly name: string; readonly grade: Grade };
  /** `completion` names the column of the ground truth. */
  readonly columns?: Columns;
}

/** A question and its answer. */
export interface Question {
  readonly prompt: Prompt;
  readonly truth: string;
}

export function ownOutputStep(options: OwnOutputOptions): RowStep<Question> {
  const { model, sampling, shape, grader, columns = {} } = options;
  const request = ({ prompt }: Question): LlmRequest => ({
    ...promptRequest(prompt),
    ...sampling,
    mayBeEmpty: true,
  });
  return {
    settings: {
      command: 'own-output',
      model: options.modelName,
      sampling: samplingSettings(sampling),
      prompt_shape: shape,
      grader: grader?.name ?? null,
      columns,
    },
    read: (raw) => ({ prompt: shaped(readPrompt(raw, columns), shape), truth: readTruth(raw, columns) }),
    requests: (question) => [request(question)],
    async run(question, index, raw) {
      const { prompt, truth } = question;
      const { text } = await model.complete(request(question));
      if (text.trim() === '') return { kind: 'dropped', reason: 'empty answer' };
      if (text.trim() === truth.trim()) return { kind: 'dropped', reason: 'equals the ground truth' };
      if (await grader?.grade(text, truth, raw))
        return { kind: 'dropped', reason: 'right answer', detail: { answer: text } };
      const pair = { prompt, chosen: answerLike(prompt, truth), rejected: answerLike(prompt, text) };
      return { kind: 'row', value: writtenRow(index, raw, pair) };
    },
  };
}

/** The ground truth: 'completion', or where there is none 'chosen'. @throws InputError */
export function readTruth(raw: RawRow, columns: Columns): string {
  const row = new RowReader(raw, columns);
  const field = row.has('completion') || !row.has('chosen') ? 'completion' : 'chosen';
  const value = row.get(field);
  if (value === undefined) throw row.missing(field);
  const text = answerText(value);
  if (text?.trim()) return text;
  throw row.error(field, 'is no text', 'give the ground truth as text or as messages that end with it');
}
