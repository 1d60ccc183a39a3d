/**
 * `prefgrad bridge`: BMC's Bridging Phase (Eq. 1). A row keeps x, yw, yl and the edit, so that four methods are choices of
 * columns on the same rows: DPO (chosen, rejected), DPO-BC (chosen_bridged, rejected), DPO-MC and DPO-BMC the same two with
 * BMC's token weights. When degrading, the pair is (chosen, rejected_degraded).
 */
import type { Columns } from '../data/columns.ts';
import type { JsonObject } from '../data/json.ts';
import { isObject } from '../data/json.ts';
import { uniformAt } from '../data/random.ts';
import type { LlmRequest } from '../llm/request.ts';
import { type AnswerPair, answerLike, readPair, writtenRow } from './dialogue.ts';
import { checkEdit, EDIT_LIMITS, type EditCheck, type EditLimits } from './edit-checks.ts';
import type { Edit, Editor, EditTask } from './editors/editor.ts';
import type { RowStep } from './row-step.ts';
import type { Similarity } from './similarity.ts';

export const BRIDGED_COLUMN = { bridge: 'chosen_bridged', degrade: 'rejected_degraded' } as const;

export interface BridgeOptions {
  readonly editor: Editor;
  /** 'bridge' edits yl towards yw, 'degrade' yw towards yl. */
  readonly direction: 'bridge' | 'degrade';
  /** False keeps the other answer from the editor. */
  readonly withReference: boolean;
  /** Share of the pairs that are edited; the others keep their own answer in the column of the edit. */
  readonly proportion: number;
  /** Draws these pairs. */
  readonly seed: number;
  readonly limits?: EditLimits;
  readonly columns?: Columns;
  /** Compares the answers before and after. */
  readonly similarity?: Similarity;
}

export function bridgeStep(options: BridgeOptions): RowStep<AnswerPair> {
  const { editor, direction, proportion, seed, columns, limits = EDIT_LIMITS } = options;
  const column = BRIDGED_COLUMN[direction];
  const edits = (index: number) => uniformAt(seed, index, 0) < proportion;
  const taskOf = (pair: AnswerPair, row: JsonObject): EditTask => {
    const { answer, other } = roles(pair, direction);
    return {
      prompt: pair.prompt,
      answer,
      reference: options.withReference ? other : undefined,
      direction,
      row,
    };
  };
  return {
    settings: {
      command: 'bridge',
      direction,
      with_reference: options.withReference,
      proportion,
      seed,
      columns: columns ?? {},
      editor: editor.settings,
      checks: {
        max_distance: limits.maxDistance,
        max_length: limits.maxLength,
        min_length: limits.minLength,
        unit: 'words',
      },
      similarity: options.similarity?.name ?? null,
    },
    read: (raw) => readPair(raw, columns),
    requests: (pair, index): readonly LlmRequest[] => (edits(index) ? editor.requests(taskOf(pair, {})) : []),
    async run(pair, index, raw) {
      const { prompt, chosen, rejected } = pair;
      const both = { prompt, chosen: answerLike(prompt, chosen), rejected: answerLike(prompt, rejected) };
      if (!edits(index)) {
        const kept = direction === 'bridge' ? both.chosen : both.rejected;
        return {
          kind: 'row',
          value: writtenRow(index, raw, { ...both, [column]: kept, bridge: { edited: false } }),
        };
      }
      const result = await editedAndChecked(editor, taskOf(pair, raw.value), pair, direction, limits);
      if (result.kind === 'dropped') return result;
      const { text, check, tries } = result;
      const { distances } = check;
      const similarity = await options.similarity?.compare([
        [chosen, text],
        [rejected, text],
      ]);
      const report = {
        edited: true,
        tries,
        distance_before: distances.before,
        distance_after: distances.after,
        ...(similarity === undefined
          ? {}
          : { similarity_chosen: similarity[0], similarity_rejected: similarity[1] }),
      };
      return {
        kind: 'row',
        value: writtenRow(index, raw, { ...both, [column]: answerLike(prompt, text), bridge: report }),
      };
    },
    summary: summarize,
  };
}

/** The text to be edited, and the other one. */
function roles({ chosen, rejected }: AnswerPair, direction: 'bridge' | 'degrade') {
  return direction === 'bridge' ? { answer: rejected, other: chosen } : { answer: chosen, other: rejected };
}

type Checked =
  | { kind: 'edited'; text: string; check: EditCheck & { ok: true }; tries: number }
  | { kind: 'dropped'; reason: string; detail: JsonObject };

/** Edits, checks, and lets an editor that can learn from it try once more. */
async function editedAndChecked(
  editor: Editor,
  task: EditTask,
  pair: AnswerPair,
  direction: 'bridge' | 'degrade',
  limits: EditLimits,
): Promise<Checked> {
  const { answer, other } = roles(pair, direction);
  let problem: string | undefined;
  for (let tries = 1; ; tries++) {
    const edit = spaced(await editor.edit(task, problem), answer);
    if (edit.kind === 'good enough') return { kind: 'dropped', reason: 'good enough', detail: { tries } };
    const check: EditCheck =
      edit.kind === 'unparsable'
        ? { ok: false, reason: 'unparsable', problem: 'it has no text between <edited> and </edited>' }
        : checkEdit(edit.text, answer, other, limits);
    if (check.ok && edit.kind === 'edited') return { kind: 'edited', text: edit.text, check, tries };
    if (check.ok) throw new RangeError('An edit without a text passed the checks.');
    if (tries === 1 && editor.retries) {
      problem = check.problem;
      continue;
    }
    const said = edit.kind === 'edited' ? edit.text : edit.answer;
    return { kind: 'dropped', reason: check.reason, detail: { tries, answer: said } };
  }
}

/** Gives an edit the white space around the answer, which a plain row needs between prompt and answer. */
function spaced(edit: Edit, answer: string): Edit {
  if (edit.kind !== 'edited') return edit;
  const before = /^\s*/.exec(answer)?.[0] ?? '';
  const after = /\s*$/.exec(answer)?.[0] ?? '';
  return { kind: 'edited', text: before + edit.text.trim() + after };
}

/** Means over the edited rows. */
async function summarize(rows: AsyncIterable<JsonObject>): Promise<JsonObject> {
  const sums = new Map<string, { sum: number; count: number }>();
  let edited = 0;
  let unedited = 0;
  for await (const { bridge } of rows) {
    if (!isObject(bridge)) continue;
    if (bridge.edited !== true) unedited++;
    else edited++;
    for (const [name, value] of Object.entries(bridge)) {
      if (typeof value !== 'number') continue;
      const { sum, count } = sums.get(name) ?? { sum: 0, count: 0 };
      sums.set(name, { sum: sum + value, count: count + 1 });
    }
  }
  const means = [...sums].map(([name, { sum, count }]) => [`mean_${name}`, sum / count] as const);
  return { edited, unedited, ...Object.fromEntries(means) };
}
