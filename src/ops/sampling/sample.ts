/**
 * sample: the next token of every row of logits, drawn on the GPU; only ids, and the log-probs that were asked for, come back.
 *
 * Filters in the order of transformers: repetition penalty, temperature, top-k, top-p, min-p. Of tokens that are exactly as
 * probable as the last one kept, all are kept. A token is drawn by the Gumbel-max trick: argmax of z / T + g with standard
 * Gumbel g has the distribution softmax(z / T), whatever the order in which tokens are looked at.
 */
import { rowRange, type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import { randomWord, wordAt } from '../../data/random.ts';
import type { BindingsOf } from '../../gpu/launch.ts';
import type { Slice } from '../../gpu/memory.ts';
import { gridOf, type Recorder } from '../../gpu/program.ts';
import { bitsOf } from '../constants.ts';
import { gridFor, takesWorkgroups, workgroupSize } from '../launch.ts';
import { launchLinear } from '../linear/linear.ts';
import type { LmHead } from '../logps/logit-chunks.ts';

/** Most log-probs beside that of the drawn token: what OpenAI's API allows. */
export const TOP_LOGPROBS = 20;

/** u32 words of a result: token, its log-prob, then TOP_LOGPROBS times (id, log-prob). */
export const RESULT_WORDS = 2 + 2 * TOP_LOGPROBS;

/** u32 words of one row's parameters; sample.wgsl, struct Row. */
export const ROW_WORDS = 8;

/** How tokens are drawn. */
export interface SamplingOptions {
  /** 0 means greedy: the most probable token, the lowest id on ties. */
  readonly temperature: number;
  /** Keep this many of the most probable tokens; 0 keeps all. */
  readonly topK: number;
  /** Keep the smallest set of most probable tokens whose probabilities reach this sum; 1 keeps all. */
  readonly topP: number;
  /** Keep tokens at least this many times as probable as the most probable one; 0 keeps all. */
  readonly minP: number;
  /** Logits of tokens that were seen are divided by this where positive, else multiplied (CTRL, Keskar et al. 2019); 1: none. */
  readonly repetitionPenalty: number;
  readonly seed: number;
}

/** One row: whose token is drawn, and what is to be told about it. */
export interface SampleRow {
  readonly sampling: SamplingOptions;
  /** Random numbers are those of (seed, sample, position): nothing else changes a draw. */
  readonly sample: number;
  readonly position: number;
  /** Where the token, and the set of tokens seen, are kept. */
  readonly slot: number;
  /** Undefined: no log-probs; otherwise so many of the most probable tokens beside the drawn one. */
  readonly logprobs: number | undefined;
}

/** Writes the parameters of a row at `words[at]`. */
export function writeSampleRow(words: Uint32Array, at: number, row: SampleRow): void {
  const { temperature, topK, topP, minP, repetitionPenalty, seed } = row.sampling;
  words[at] = bitsOf(temperature);
  words[at + 1] = topPTarget(topP);
  words[at + 2] = bitsOf(minP);
  words[at + 3] = bitsOf(repetitionPenalty);
  words[at + 4] = topK;
  words[at + 5] = randomWord(seed, row.sample, row.position);
  words[at + 6] = row.slot;
  words[at + 7] = row.logprobs === undefined ? 0 : 1 + row.logprobs;
}

/** The share in units of 2^-31. */
function topPTarget(topP: number): number {
  return Math.max(1, Math.min(2 ** 31, Math.round(topP * 2 ** 31)));
}

/** u32 words of a set of tokens, a bit each. */
export function seenWords(vocabulary: number): number {
  return Math.ceil(vocabulary / 32);
}

/** What rows read and write from step to step. */
export interface SampleState {
  /** u32 [slots, seenWords(V)]. */
  readonly seen: Tensor;
  /** u32 [slots]: the token drawn last. */
  readonly last: Tensor;
}

/** @returns u32 [R, RESULT_WORDS] */
export function recordSample(
  recorder: Recorder,
  logits: Tensor,
  rows: Tensor,
  { seen, last }: SampleState,
  softcap: number | undefined,
): Tensor {
  const results = temporary(recorder, 'drawn tokens', [logits.shape[0], RESULT_WORDS], 'u32');
  dispatchSample(recorder, whole(logits), whole(results), softcap, {
    inputs: { rows: whole(rows), seen: whole(seen), last: whole(last) },
  });
  return results;
}

/** Rows whose logits exist at the same time while given tokens are scored. */
const SCORED_ROWS = 64;

/**
 * Log-probs of given tokens, each beside the most probable ones. Logits exist for SCORED_ROWS rows at a time.
 * @param hidden hidden states [R, H]; row r predicts `targets[r]` (u32)
 * @returns u32 [R, RESULT_WORDS]
 */
export function recordScores(
  recorder: Recorder,
  hidden: Tensor,
  { weight, softcap }: LmHead,
  targets: Tensor,
  topCount: number,
): Tensor {
  const [rows] = hidden.shape;
  const results = temporary(recorder, 'scored tokens', [rows, RESULT_WORDS], 'u32');
  const logits = temporary(recorder, 'logits', [Math.min(rows, SCORED_ROWS), weight.shape[0]]);
  for (let row = 0; row < rows; row += SCORED_ROWS) {
    const count = Math.min(SCORED_ROWS, rows - row);
    const part = (tensor: Tensor) => whole(rowRange(tensor, row, count));
    const scratch = whole(rowRange(logits, 0, count));
    launchLinear(recorder, part(hidden), scratch, { rows: count, weight, scale: 1, accumulate: false });
    dispatchSample(recorder, scratch, part(results), softcap, {
      inputs: { targets: part(targets) },
      topCount,
    });
  }
  return results;
}

/** What drawing and scoring differ in: scoring knows its targets. */
interface SampleVariant {
  readonly inputs: Pick<BindingsOf<'sample'>, 'rows' | 'seen' | 'last' | 'targets'>;
  /** How many of the most probable tokens are kept. Scoring only. */
  readonly topCount?: number;
}

function dispatchSample(
  recorder: Recorder,
  logits: Slice,
  results: Slice,
  softcap: number | undefined,
  { inputs, topCount }: SampleVariant,
): void {
  const isWide = takesWorkgroups(recorder);
  const workgroup = isWide ? 256 : 8;
  const rows = results.byteLength / (4 * RESULT_WORDS);
  const TARGETS = inputs.targets !== undefined;
  recorder.launch({
    label: TARGETS ? 'score' : 'sample',
    kernel: 'sample',
    conditions: { TARGETS, ROW_PER_WORKGROUP: isWide, SOFTCAP: softcap !== undefined },
    constants: { WORKGROUP: workgroup, TOP: TOP_LOGPROBS },
    overrides: {
      ...(topCount === undefined ? {} : { TOP_COUNT: topCount }),
      ...(softcap === undefined ? {} : { CAP: softcap }),
    },
    bindings: { logits, ...inputs, out: results },
    grid: gridOf(isWide ? rows : Math.ceil(rows / workgroup)),
  });
}

/** The token of a row that is told what to feed is this one; others feed what they drew last. */
export const NO_TOKEN = 0xffffffff;

/** Token ids that rows feed to the model, u32 [R]: `forced`, or where that is NO_TOKEN, the last token of the row's slot. */
export function recordNextTokens(recorder: Recorder, forced: Tensor, slots: Tensor, last: Tensor): Tensor {
  const ids = temporary(recorder, 'next tokens', forced.shape, 'u32');
  recorder.launch({
    kernel: 'next_tokens',
    constants: { WORKGROUP: workgroupSize(recorder) },
    bindings: { forced: whole(forced), slots: whole(slots), last: whole(last), ids: whole(ids) },
    grid: gridFor(recorder, forced.shape[0]),
  });
  return ids;
}

/** A token and the logarithm of its probability, before penalty, temperature and filters. */
export interface TokenLogprob {
  readonly token: number;
  readonly logprob: number;
}

/** A token of a text with its log-prob and the most probable tokens in its place, most probable first. */
export interface ScoredToken extends TokenLogprob {
  readonly top: readonly TokenLogprob[];
}

/** What `recordSample` finds for one row, in f64. */
export interface Drawn {
  readonly token: number;
  readonly logprob: number;
  /** Ids that the filters kept. */
  readonly kept: readonly number[];
}

/**
 * `recordSample` in f64, for one row.
 * @param seen whether a token is in the text so far
 */
export function sampleReference(
  logits: ArrayLike<number>,
  { sampling, sample, position }: Omit<SampleRow, 'slot' | 'logprobs'>,
  seen: (token: number) => boolean = () => false,
): Drawn {
  const { temperature, topK, topP, minP, repetitionPenalty: penalty, seed } = sampling;
  const ids = Array.from(logits, (_, v) => v);
  const z = ids.map((v) => (seen(v) ? logits[v] * (logits[v] > 0 ? 1 / penalty : penalty) : logits[v]));
  const largestRaw = Math.max(...Array.from(logits));
  const lse = largestRaw + Math.log(ids.reduce((sum, v) => sum + Math.exp(logits[v] - largestRaw), 0));
  const drawn = (token: number, kept: readonly number[]) => ({ token, logprob: logits[token] - lse, kept });
  const argmax = (of: readonly number[], score: (v: number) => number) =>
    of.reduce((best, v) => (score(v) > score(best) ? v : best));

  const best = argmax(ids, (v) => z[v]);
  if (temperature === 0) return drawn(best, [best]);
  const falling = ids.toSorted((a, b) => z[b] - z[a]);
  const weight = (v: number) => Math.exp((z[v] - z[best]) / temperature);
  const from = (least: number) => falling.filter((v) => z[v] >= least);

  let kept = topK > 0 && topK < ids.length ? from(z[falling[topK - 1]]) : falling;
  if (topP < 1) {
    const target = topP * kept.reduce((sum, v) => sum + weight(v), 0);
    let reached = 0;
    const last = kept.find((v) => {
      reached += weight(v);
      return reached >= target;
    });
    kept = kept.filter((v) => z[v] >= z[last ?? best]);
  }
  kept = kept.filter((v) => weight(v) >= minP);
  const key = randomWord(seed, sample, position);
  return drawn(
    argmax(
      kept.toSorted((a, b) => a - b),
      (v) => z[v] / temperature + gumbelAt(key, v),
    ),
    kept,
  );
}

/** Standard Gumbel noise of a token: -log(-log u), u uniform in (0, 1). */
function gumbelAt(key: number, token: number): number {
  return -Math.log(-Math.log((wordAt(key, token) + 0.5) / 2 ** 32));
}

/** Row `row` of results. */
export function readResult(words: Uint32Array<ArrayBuffer>, row: number, topCount: number): ScoredToken {
  const values = new Float32Array(words.buffer, words.byteOffset, words.length);
  const start = row * RESULT_WORDS;
  const top = Array.from({ length: topCount }, (_, i) => {
    return { token: words[start + 2 + 2 * i], logprob: values[start + 3 + 2 * i] };
  });
  return { token: words[start], logprob: values[start + 1], top };
}
