/**
 * Packed batches: one token axis for several documents, without padding between them and with every prompt computed once.
 *
 * A document is a prompt followed by its answers ("branches"). Token i sees token j <= i when j lies in i's own branch
 * (j >= branchStart) or in the prompt of i's document (docStart <= j < prefixEnd). Positions restart at the prompt's end
 * for every branch. The last token of an answer predicts nothing, so it is a target but never an input.
 *
 * The head runs on response tokens only, and of these on what is in the loss: row r predicts `targets[r]` from the hidden state of token `headRows[r]`. The
 * last prompt token appears once per branch, since it predicts the first token of each.
 */
import { type Answer, type Example, lossTokens } from './examples.ts';

/** Sizes that a set of tensors can hold. */
export interface BatchShape {
  /** Input tokens. */
  readonly tokens: number;
  /** Response tokens that are in the loss (rows of the head). */
  readonly rows: number;
  /** Pairs, or unpaired answers. */
  readonly pairs: number;
}

export interface PackedBatch {
  /** What is really there; arrays below have the capacity given to `packBatch`. */
  readonly used: BatchShape;
  readonly capacity: BatchShape;
  /** Positions in the list of examples that was packed, [pairs used]. */
  readonly examples: readonly Example[];
  /** u32 [tokens] each. */
  readonly ids: Uint32Array<ArrayBuffer>;
  readonly positions: Uint32Array<ArrayBuffer>;
  /** u32 [tokens, 4]: document start, prompt end, branch start, position. */
  readonly visibility: Uint32Array<ArrayBuffer>;
  /** u32 [tokens, 2]: one past the last token that may see this one, and its position. */
  readonly seen: Uint32Array<ArrayBuffer>;
  /** u32 [rows] each. */
  readonly headRows: Uint32Array<ArrayBuffer>;
  readonly targets: Uint32Array<ArrayBuffer>;
  /** f32 [rows]: 1 on tokens that differ from the other answer; weights given in the data, else 1. */
  readonly diff: Float32Array<ArrayBuffer>;
  readonly weights: Float32Array<ArrayBuffer>;
  /** u32 [pairs, 2] per side: first and one past the last row. Unpaired answers stand on the side of their label. */
  readonly chosen: Uint32Array<ArrayBuffer>;
  readonly rejected: Uint32Array<ArrayBuffer>;
  readonly mismatched: Uint32Array<ArrayBuffer>;
}

/** The answers of an example in the order in which they are packed. */
export function answersOf(example: Example): readonly Answer[] {
  return example.kind === 'pair' ? [example.chosen, example.rejected] : [example.completion];
}

/** How one example is laid out. */
export interface ExampleLayout {
  /** KTO's further completion. */
  readonly mismatched?: Answer;
  /** False repeats the prompt before every answer; the numbers are the same, the tokens more. Default true. */
  readonly sharePrompt?: boolean;
}

/** What one example takes. */
export function shapeOf(
  example: Example,
  { mismatched, sharePrompt = true }: ExampleLayout = {},
): BatchShape {
  const answers = mismatched === undefined ? answersOf(example) : [...answersOf(example), mismatched];
  const prompts = sharePrompt ? 1 : answers.length;
  return {
    tokens: answers.reduce((n, { ids }) => n + ids.length - 1, prompts * example.promptIds.length),
    rows: answers.reduce((n, answer) => n + lossTokens(answer), 0),
    pairs: 1,
  };
}

export function addShapes(a: BatchShape, b: BatchShape): BatchShape {
  return { tokens: a.tokens + b.tokens, rows: a.rows + b.rows, pairs: a.pairs + b.pairs };
}

/**
 * Packs examples one after the other. Empty slots at the end hold token 0 that sees only itself, rows that read token 0,
 * and empty segments.
 * @param layoutOf how each example is laid out, by its place among `examples`
 * @throws RangeError when the examples do not fit the capacity.
 */
export function packBatch(
  examples: readonly Example[],
  capacity: BatchShape,
  layoutOf: (index: number) => ExampleLayout = () => ({}),
): PackedBatch {
  const used = examples.reduce((sum, e, i) => addShapes(sum, shapeOf(e, layoutOf(i))), {
    tokens: 0,
    rows: 0,
    pairs: 0,
  });
  if (used.tokens > capacity.tokens || used.rows > capacity.rows || used.pairs > capacity.pairs) {
    throw new RangeError(
      `A batch of ${JSON.stringify(used)} does not fit a bucket of ${JSON.stringify(capacity)}.`,
    );
  }
  const batch: PackedBatch = {
    used,
    capacity,
    examples,
    ids: new Uint32Array(capacity.tokens),
    positions: new Uint32Array(capacity.tokens),
    visibility: new Uint32Array(4 * capacity.tokens),
    seen: new Uint32Array(2 * capacity.tokens),
    headRows: new Uint32Array(capacity.rows),
    targets: new Uint32Array(capacity.rows),
    diff: new Float32Array(capacity.rows),
    weights: new Float32Array(capacity.rows).fill(1),
    chosen: new Uint32Array(2 * capacity.pairs),
    rejected: new Uint32Array(2 * capacity.pairs),
    mismatched: new Uint32Array(2 * capacity.pairs),
  };
  let token = 0;
  let row = 0;
  examples.forEach((example, pair) => {
    const { mismatched, sharePrompt = true } = layoutOf(pair);
    let docStart = 0;
    let prefixEnd = 0;
    const packPrompt = (docLength: number) => {
      docStart = token;
      prefixEnd = docStart + example.promptIds.length;
      const seenEnd = docStart + docLength;
      example.promptIds.forEach((id, i) => {
        setToken(batch, token++, { id, position: i, docStart, prefixEnd, branchStart: docStart, seenEnd });
      });
    };
    if (sharePrompt) packPrompt(shapeOf(example, { mismatched }).tokens);
    const packAnswer = (answer: Answer, side: Uint32Array) => {
      if (!sharePrompt) packPrompt(example.promptIds.length + answer.ids.length - 1);
      const branchStart = token;
      const branchEnd = branchStart + answer.ids.length - 1;
      side[2 * pair] = row;
      answer.ids.forEach((id, i) => {
        if (answer.lossMask?.[i] !== 0) {
          batch.headRows[row] = i === 0 ? prefixEnd - 1 : branchStart + i - 1;
          batch.targets[row] = id;
          batch.diff[row] = answer.diff?.[i] ?? 0;
          batch.weights[row] = answer.weights?.[i] ?? 1;
          row++;
        }
        if (branchStart + i < branchEnd) {
          const position = example.promptIds.length + i;
          setToken(batch, token++, { id, position, docStart, prefixEnd, branchStart, seenEnd: branchEnd });
        }
      });
      side[2 * pair + 1] = row;
    };
    if (example.kind === 'pair') {
      packAnswer(example.chosen, batch.chosen);
      packAnswer(example.rejected, batch.rejected);
    } else {
      packAnswer(example.completion, example.label ? batch.chosen : batch.rejected);
    }
    if (mismatched !== undefined) packAnswer(mismatched, batch.mismatched);
  });
  for (let i = token; i < capacity.tokens; i++) {
    setToken(batch, i, { id: 0, position: 0, docStart: i, prefixEnd: i, branchStart: i, seenEnd: i + 1 });
  }
  return batch;
}

interface Slot {
  readonly id: number;
  readonly position: number;
  readonly docStart: number;
  readonly prefixEnd: number;
  readonly branchStart: number;
  readonly seenEnd: number;
}

function setToken(batch: PackedBatch, i: number, slot: Slot): void {
  batch.ids[i] = slot.id;
  batch.positions[i] = slot.position;
  batch.visibility.set([slot.docStart, slot.prefixEnd, slot.branchStart, slot.position], 4 * i);
  batch.seen.set([slot.seenEnd, slot.position], 2 * i);
}
