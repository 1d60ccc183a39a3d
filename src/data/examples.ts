/**
 * Rows after tokenization: what batches are packed from. One token axis per answer, EOS included where the row has it.
 */

/** One tokenized answer. All arrays have one entry per response token. */
export interface Answer {
  readonly ids: Int32Array;
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

/** A KTO row: one answer and whether it is desirable. */
export interface UnpairedExample extends Common {
  readonly kind: 'unpaired';
  readonly completion: Answer;
  readonly label: boolean;
}

export type Example = PairExample | UnpairedExample;

/** Does any answer carry token weights of its own? */
export function carryWeights(examples: readonly Example[]): boolean {
  return examples.some((e) =>
    (e.kind === 'pair' ? [e.chosen, e.rejected] : [e.completion]).some(
      ({ weights }) => weights !== undefined,
    ),
  );
}
