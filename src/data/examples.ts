/**
 * Rows after tokenization: what batches are packed from. One token axis per answer, EOS included where the row has it.
 */

/** One tokenized answer. All arrays have one entry per response token. */
export interface Answer {
  readonly ids: Int32Array;
  /** 1 where the token is in the loss, 0 where it only is context (a user's turn between two answers). Absent: 1 everywhere. */
  readonly lossMask?: Uint8Array;
  /** 1 where the token differs from the other answer of the pair (BMC, FIGA). Absent when nobody asked for it. */
  readonly diff?: Uint8Array;
  /** Per-token weights given in the data (DPO(EW)). */
  readonly weights?: Float32Array;
}

interface Common {
  /** 0-based position among the examples that were kept. */
  readonly index: number;
  /** 1-based line in the data file, for messages. */
  readonly line: number;
  /** The data file; absent where rows come from elsewhere. */
  readonly file?: string;
  readonly promptIds: Int32Array;
  /** True when `max_length` cut something off. */
  readonly truncated: boolean;
}

export interface PairExample extends Common {
  readonly kind: 'pair';
  readonly chosen: Answer;
  readonly rejected: Answer;
}

/** One answer and whether it is desirable: rows of KTO, and (always desirable) of supervised fine-tuning. */
export interface UnpairedExample extends Common {
  readonly kind: 'unpaired';
  readonly completion: Answer;
  readonly label: boolean;
}

export type Example = PairExample | UnpairedExample;

/** How many tokens of an answer are in the loss: its rows of the head. */
export function lossTokens({ ids, lossMask }: Answer): number {
  return lossMask === undefined ? ids.length : lossMask.reduce((sum, flag) => sum + flag, 0);
}

/** Tokens of a row as TRL counts them: every answer with its prompt, however they are packed. */
export function inputTokens(example: Example): number {
  const answers = example.kind === 'pair' ? [example.chosen, example.rejected] : [example.completion];
  return answers.reduce((sum, { ids }) => sum + example.promptIds.length + ids.length, 0);
}

/** The chosen answer alone, as methods that compare nothing learn from it. */
export function chosenOnly(example: Example): UnpairedExample {
  if (example.kind === 'unpaired') return example;
  const { chosen, rejected: _, ...common } = example;
  return { ...common, kind: 'unpaired', completion: chosen, label: true };
}

/** Does any answer carry token weights of its own? */
export function carryWeights(examples: readonly Example[]): boolean {
  return examples.some((e) =>
    (e.kind === 'pair' ? [e.chosen, e.rejected] : [e.completion]).some(
      ({ weights }) => weights !== undefined,
    ),
  );
}
