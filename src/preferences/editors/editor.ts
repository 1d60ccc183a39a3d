/**
 * BMC's Bridging Phase (arXiv 2408.07471, Eq. 1): y~w = LLM(I, x, yw, yl), an edit of yl on the parts for which it is
 * dispreferred, with yw as reference. Whoever can do this is an editor: a language model, or for tasks whose steps can be
 * told right from wrong by a program, that program.
 */
import type { JsonObject } from '../../data/json.ts';
import type { LlmRequest } from '../../llm/request.ts';
import type { Prompt } from '../dialogue.ts';

export interface EditTask {
  readonly prompt: Prompt;
  /** The text to be edited: yl, or yw when degrading. */
  readonly answer: string;
  /** The other answer of the pair; undefined: the editor may not use it. */
  readonly reference: string | undefined;
  /** 'bridge' improves the answer, 'degrade' worsens it. */
  readonly direction: 'bridge' | 'degrade';
  /** The row, for editors that need more of it. */
  readonly row: JsonObject;
}

/** What an editor made of an answer. */
export type Edit =
  | { readonly kind: 'edited'; readonly text: string }
  /** The answer needs no edit; the pair teaches nothing. */
  | { readonly kind: 'good enough' }
  | { readonly kind: 'unparsable'; readonly answer: string };

export interface Editor {
  /** 'llm' or 'exact', and what makes its edits what they are; written beside the output. */
  readonly settings: JsonObject;
  /** @param problem what was wrong with the edit before, for a second try */
  edit(task: EditTask, problem?: string): Promise<Edit>;
  /** Can it do better when told what was wrong? */
  readonly retries: boolean;
  /** For --dry-run. */
  requests(task: EditTask): readonly LlmRequest[];
}
