/** Is an edit one? Editors copy the reference, give the answer back unchanged, or write something else altogether. */
import { wordDistance, words } from './words.ts';

export interface EditLimits {
  /** Of the words of edit and answer, the largest share that may differ; above it the edit is another text. */
  readonly maxDistance: number;
  /** Most words of an edit, as a multiple of the longer answer's; least ones, as a share of the shorter one's. */
  readonly maxLength: number;
  readonly minLength: number;
}

export const EDIT_LIMITS: EditLimits = { maxDistance: 0.9, maxLength: 2, minLength: 0.5 };

/** Distances in words, for the report. */
export interface EditDistances {
  /** Between the two answers of the pair. */
  readonly before: number;
  /** Between the edit and the answer that was edited. */
  readonly after: number;
}

export type EditCheck =
  | { readonly ok: true; readonly distances: EditDistances }
  /** `reason` for the report; `problem` for the editor's second try. */
  | { readonly ok: false; readonly reason: string; readonly problem: string };

/**
 * @param answer the text that was edited: yl, or yw when degrading
 * @param other the other answer of the pair
 */
export function checkEdit(edit: string, answer: string, other: string, limits = EDIT_LIMITS): EditCheck {
  const no = (reason: string, problem: string): EditCheck => ({ ok: false, reason, problem });
  if (edit.trim() === answer.trim()) return no('unchanged', 'it is the answer as it was, without any change');
  if (edit.trim() === other.trim())
    return no('copy of the other answer', 'it is a copy of the other answer, not an edit');
  const [size, own, others] = [edit, answer, other].map((text) => words(text).length);
  if (size > limits.maxLength * Math.max(own, others)) {
    return no('too long', `it has ${size} words, but the answers have ${own} and ${others}`);
  }
  if (size < limits.minLength * Math.min(own, others)) {
    return no('too short', `it has ${size} words, but the answers have ${own} and ${others}`);
  }
  const before = wordDistance(other, answer);
  const after = wordDistance(edit, answer);
  if (after.share > limits.maxDistance)
    return no('unrelated', 'it has hardly a word of the answer in common');
  if (after.edits === 0) return no('unchanged', 'it differs from the answer in white space alone');
  if (after.edits >= before.edits || after.share >= before.share) {
    return no(
      'no nearer than the other answer',
      'it changes as much as the other answer does; change fewer words',
    );
  }
  return { ok: true, distances: { before: before.edits, after: after.edits } };
}
