/** What scores say, by row: the names and shapes of the file of scores (docs/score.schema.json), and how they are filled. */
import { z } from 'zod';
import type { PairExample } from '../data/examples.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { ActiveObjective } from '../objectives/choice.ts';
import { COLUMNS, STRIDE, TOP } from '../ops/logps/token-statistics.ts';
import type { Vectors } from './scorer.ts';

const numbers = () => z.array(z.number());

const candidate = z
  .strictObject({ id: z.number().int(), token: z.string(), logp: z.number() })
  .describe('one of the most probable next tokens');

const answerFields = {
  token_ids: z.array(z.number().int()).describe('tokens of the answer, with its EOS'),
  tokens: z.array(z.string()).describe('their texts'),
  logps: numbers().describe('log-probs under the model'),
  ref_logps: numbers().optional().describe('log-probs under the reference'),
  diff: z
    .array(z.union([z.literal(0), z.literal(1)]))
    .describe('1 where the token differs from the other answer'),
  weights: numbers().optional().describe('token weights'),
  rewards: numbers().optional().describe("beta (logp - ref_logp); the objective's scale in place of beta"),
  contributions: numbers().optional().describe('terms whose sum is the reward that the objective logs'),
  entropy: numbers().optional().describe('entropy of the next-token distribution, nats'),
  kl: numbers().optional().describe('KL(model || reference), nats'),
  ranks: numbers().optional().describe('rank of the token under the model; 0 is the most probable'),
  ref_ranks: numbers().optional().describe('the same under the reference'),
  top: z.array(z.array(candidate)).optional().describe('most probable tokens under the model'),
  ref_top: z.array(z.array(candidate)).optional().describe('most probable tokens under the reference'),
};

const answer = z.strictObject(answerFields);

const record = z.strictObject({
  prompt: z.strictObject({ token_ids: z.array(z.number().int()) }),
  chosen: answer,
  rejected: answer,
  margin: z.number().optional().describe('sum of the rewards of chosen minus that of rejected'),
});

/** One of the most probable next tokens. */
export type Candidate = Readonly<z.infer<typeof candidate>>;

/** One answer of a scored pair; every array has one entry per response token. */
export type ScoredAnswer = Readonly<z.infer<typeof answer>>;

export type ScoreRecord = Readonly<z.infer<typeof record>>;

const message = z.looseObject({ role: z.string(), content: z.string() });

const textFields = {
  text: z.string().optional().describe('the text, of a plain row'),
  messages: z.array(message).optional().describe('the messages, of a conversational row'),
};

const placeFields = {
  index: z.number().int().describe('number of the row, from 0, over all files'),
  file: z.string(),
  line: z.number().int().describe('line of the file on which the row begins, from 1; in Parquet the row'),
};

const scoredLine = z.strictObject({
  ...placeFields,
  truncated: z.literal(true).optional().describe('the row was cut to the longest length'),
  prompt: z.strictObject({ ...textFields, token_ids: z.array(z.number().int()) }),
  chosen: z.strictObject({ ...textFields, ...answerFields }),
  rejected: z.strictObject({ ...textFields, ...answerFields }),
  margin: record.shape.margin,
  loss: z.number().optional().describe("the objective's loss of this pair"),
  edit_distance: z.number().int().describe('edits of tokens that turn one answer into the other'),
  epsilon: z
    .strictObject({
      epsilon: z.number().describe('size of the perturbation'),
      step: z.number().int().describe('+1 lowers beta, -1 raises it, 0 leaves it'),
      beta: z.number().describe('beta of this pair, beta / (1 + epsilon step)'),
    })
    .optional()
    .describe("epsilon-DPO's criterion on this pair"),
});

const texts = z.strictObject(textFields).optional();

const droppedLine = z.strictObject({
  ...placeFields,
  dropped: z.enum(['identical', 'too_long', 'invalid']).describe('why the row has no scores'),
  reason: z.string().describe('the same in words'),
  prompt: texts,
  chosen: texts,
  rejected: texts,
});

/** A line of a file of scores: every row of the data has one, in order. */
export const scoreLine = z.union([scoredLine, droppedLine]);
export type ScoredLine = Readonly<z.infer<typeof scoredLine>>;
export type DroppedLine = Readonly<z.infer<typeof droppedLine>>;
export type ScoreLine = ScoredLine | DroppedLine;

/** What of the vectors a record shows. */
export interface Shown {
  readonly weights: boolean;
  readonly contributions: boolean;
  /** Of the statistics, where there are any; all of them unless told otherwise. */
  readonly entropy?: boolean;
  readonly kl?: boolean;
  /** How many of the most probable tokens, at most TOP. */
  readonly top?: number;
}

/** The records of a batch, in order. */
export function scoreRecords(
  examples: readonly PairExample[],
  vectors: Vectors,
  tokenizer: Tokenizer,
  { rewardScale }: ActiveObjective,
  shown: Shown,
): ScoreRecord[] {
  let row = 0;
  return examples.map((example) => {
    const answer = ({ ids, diff }: PairExample['chosen']): ScoredAnswer => {
      const [start, end] = [row, row + ids.length];
      row = end;
      const part = (vector: Float32Array | undefined) =>
        vector === undefined ? undefined : Array.from(vector.subarray(start, end));
      const [logps, refLogps] = [part(vectors.logps) ?? [], part(vectors.refLogps)];
      return {
        token_ids: Array.from(ids),
        tokens: Array.from(ids, (id) => tokenizer.tokenText(id)),
        logps,
        ref_logps: refLogps,
        diff: Array.from(ids, (_, t) => (diff?.[t] === 1 ? 1 : 0)),
        weights: shown.weights ? part(vectors.weights) : undefined,
        rewards: refLogps?.map((ref, t) => rewardScale * (logps[t] - ref)),
        contributions: shown.contributions ? part(vectors.contributions) : undefined,
        ...details(vectors, start, end, tokenizer, shown),
      };
    };
    const chosen = answer(example.chosen);
    const rejected = answer(example.rejected);
    const margin =
      chosen.rewards === undefined || rejected.rewards === undefined
        ? undefined
        : sum(chosen.rewards) - sum(rejected.rewards);
    return { prompt: { token_ids: Array.from(example.promptIds) }, chosen, rejected, margin };
  });
}

/** What is shown of the token statistics, from row `start` to `end`. */
function details(
  { statistics, refStatistics }: Vectors,
  start: number,
  end: number,
  tokenizer: Tokenizer,
  { entropy = true, kl = true, top = TOP }: Shown,
): Pick<ScoredAnswer, 'entropy' | 'kl' | 'ranks' | 'ref_ranks' | 'top' | 'ref_top'> {
  if (statistics === undefined) return {};
  const rows = Array.from({ length: end - start }, (_, t) => start + t);
  const column = (values: Float32Array, name: keyof typeof COLUMNS) =>
    rows.map((row) => values[row * STRIDE + COLUMNS[name]]);
  const candidates = (values: Float32Array) =>
    rows.map((row) =>
      Array.from({ length: top }, (_, i): Candidate => {
        const at = row * STRIDE + STRIDE - 2 * TOP + 2 * i;
        return { id: values[at], token: tokenizer.tokenText(values[at]), logp: values[at + 1] };
      }),
    );
  return {
    ...(entropy && { entropy: column(statistics, 'entropy') }),
    ...(top > 0 && { ranks: column(statistics, 'rank'), top: candidates(statistics) }),
    ...(kl && refStatistics && { kl: column(statistics, 'kl') }),
    ...(top > 0 &&
      refStatistics && { ref_ranks: column(refStatistics, 'rank'), ref_top: candidates(refStatistics) }),
  };
}

export function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
