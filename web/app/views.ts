/** What can be shown per token, and on which scale. Pure functions. */
import type { ScoredPair, ScoredSide } from '../worker/protocol.ts';

export type View = 'contribution' | 'reward' | 'running' | 'lambda' | 'logp' | 'ref_logp' | 'entropy' | 'kl';

/** Name, what the menu says, and what it is. */
export const VIEWS: readonly (readonly [View, string, string])[] = [
  ['contribution', 'contribution to the reward', "the token's term in the method's own reward"],
  ['reward', 'β (log p − log p_ref)', 'the implicit reward of the token, without token weights'],
  ['running', 'running sum', 'the reward of the answer up to here'],
  ['lambda', 'BMC weight λ', "the token's weight; 1 where both answers agree"],
  ['logp', 'policy log-prob', 'log p, nats'],
  ['ref_logp', 'reference log-prob', 'log p_ref, nats'],
  ['entropy', 'entropy', 'of the next-token distribution, nats'],
  ['kl', 'KL', 'KL(policy ‖ reference) of the next-token distribution, nats'],
];

/** Quantities without a sign that means anything: from pale to strong in one hue. */
const SEQUENTIAL: ReadonlySet<View> = new Set<View>(['lambda', 'logp', 'ref_logp', 'entropy', 'kl']);

export function isSequential(view: View): boolean {
  return SEQUENTIAL.has(view);
}

/** One number per response token; undefined where this pair was scored without it. */
export function valuesOf(side: ScoredSide, view: View): readonly number[] | undefined {
  switch (view) {
    case 'reward':
      return side.rewards;
    case 'logp':
      return side.logps;
    case 'ref_logp':
      return side.ref_logps;
    case 'running':
      return runningSum(side.contributions ?? []);
    case 'lambda':
      return side.weights ?? side.logps.map(() => 1);
    case 'contribution':
      return side.contributions;
    case 'entropy':
      return side.entropy;
    case 'kl':
      return side.kl;
  }
}

function runningSum(values: readonly number[]): number[] {
  let sum = 0;
  return values.map((value) => {
    sum += value;
    return sum;
  });
}

/**
 * Half the width of the colour scale: the same for all panes that are compared, and not set by a single outlier (the
 * 95th percentile of |value|).
 */
export function scaleOf(pairs: readonly ScoredPair[], view: View): number {
  const sizes = pairs
    .flatMap(({ chosen, rejected }) => [valuesOf(chosen, view) ?? [], valuesOf(rejected, view) ?? []])
    .flat()
    .map((value) => Math.abs(view === 'lambda' ? value - 1 : value))
    .sort((a, b) => a - b);
  const percentile = sizes[Math.floor(0.95 * (sizes.length - 1))] ?? 0;
  return percentile > 0 ? percentile : (sizes.at(-1) ?? 0) || 1;
}

/** Place on the scale, in [-1, 1]. */
export function placeOf(value: number, scale: number): number {
  return Math.max(-1, Math.min(1, value / scale));
}

/** Steps of colour on either side of 0; each is a class, since the page's policy allows no inline styles. */
export const STEPS = 8;

/** Class of a value's colour: 'n8' ... 'z0' ... 'p8' around 0, 's0' ... 's8' for quantities without a sign. */
export function colourClass(view: View, value: number, scale: number): string {
  // A weight of 1 is no weight.
  const place = placeOf(view === 'lambda' ? value - 1 : value, scale);
  const step = Math.round(Math.abs(place) * STEPS);
  if (isSequential(view)) return `s${step}`;
  return step === 0 ? 'z0' : `${place < 0 ? 'n' : 'p'}${step}`;
}

export function number(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  const text = size !== 0 && size < 0.001 ? value.toExponential(1) : value.toFixed(size < 10 ? 3 : 1);
  return text.replace('-', '−');
}

/** White space made visible. */
export function visible(token: string): string {
  return token.replaceAll(' ', '·').replaceAll('\n', '⏎').replaceAll('\t', '⇥');
}

/** Which tokens touch a block of code between fences (```), or after a fence that nothing closes. */
export function codeMask(tokens: readonly string[]): boolean[] {
  const blocks = [...tokens.join('').matchAll(/^ {0,3}```[\s\S]*?(?:^ {0,3}```|$(?![\s\S]))/gm)];
  let start = 0;
  return tokens.map((token) => {
    const end = start + token.length;
    const isCode = blocks.some(({ index, 0: block }) => start < index + block.length && end > index);
    start = end;
    return isCode;
  });
}

/** A stretch of both answers: the same tokens on both sides, or what differs. */
export interface Stretch {
  readonly varied: boolean;
  /** [first, one past the last) token of either side. */
  readonly chosen: readonly [number, number];
  readonly rejected: readonly [number, number];
}

/** Common runs shorter than this are shown with what is varied around them. */
const SHORTEST_COMMON = 4;

/** Cuts both answers at their differences, so that what is common stands side by side. */
export function align(chosen: readonly (0 | 1)[], rejected: readonly (0 | 1)[]): Stretch[] {
  const stretches: Stretch[] = [];
  let [i, j] = [0, 0];
  const add = (varied: boolean, c: readonly [number, number], r: readonly [number, number]) => {
    const last = stretches.at(-1);
    const isShort = !varied && c[1] - c[0] < SHORTEST_COMMON;
    if (last !== undefined && (isShort || varied) && last.varied) {
      stretches[stretches.length - 1] = {
        varied: true,
        chosen: [last.chosen[0], c[1]],
        rejected: [last.rejected[0], r[1]],
      };
    } else stretches.push({ varied: varied || isShort, chosen: c, rejected: r });
  };
  while (i < chosen.length || j < rejected.length) {
    const [c, r] = [i, j];
    while (chosen[i] === 0 && rejected[j] === 0) {
      i++;
      j++;
    }
    if (i > c) add(false, [c, i], [r, j]);
    const [ci, rj] = [i, j];
    while (i < chosen.length && chosen[i] === 1) i++;
    while (j < rejected.length && rejected[j] === 1) j++;
    if (i > ci || j > rj) add(true, [ci, i], [rj, j]);
    // Masks of a method that are no alignment would stop here for ever.
    if (i === c && j === r) {
      add(true, [i, chosen.length], [j, rejected.length]);
      break;
    }
  }
  return stretches;
}

/** Means over all lists of their first, second, ... value; null where no list is so long. */
export function meanByPosition(lists: readonly (readonly number[])[], positions: number): (number | null)[] {
  return Array.from({ length: positions }, (_, i) => {
    const values = lists.filter((list) => list.length > i).map((list) => list[i]);
    return values.length === 0 ? null : values.reduce((a, b) => a + b, 0) / values.length;
  });
}

/** Length of the beginning that both answers share. */
export function sharedBeginning({ chosen, rejected }: ScoredPair): number {
  let length = 0;
  while (
    length < chosen.token_ids.length &&
    chosen.token_ids[length] === rejected.token_ids[length] &&
    chosen.diff[length] === 0
  )
    length++;
  return length;
}

/**
 * By how many pixels labels at the ends of lines are moved down, so that none covers another.
 * @param values where the lines end
 * @param pixels of one unit of `values`
 */
export function labelShifts(values: readonly number[], pixels: number): number[] {
  const shifts = values.map(() => 0);
  let free = Number.NEGATIVE_INFINITY;
  for (const { value, i } of values.map((value, i) => ({ value, i })).sort((a, b) => b.value - a.value)) {
    const place = Math.max(-value * pixels, free);
    shifts[i] = place + value * pixels;
    free = place + LABEL_HEIGHT;
  }
  return shifts;
}

const LABEL_HEIGHT = 12;

export function sum(values: readonly number[] = []): number {
  return values.reduce((a, b) => a + b, 0);
}

/** The margin by β (log p − log p_ref) alone; undefined where there is no reference. */
export function unweightedMargin({ chosen, rejected }: ScoredPair): number | undefined {
  return chosen.rewards && rejected.rewards && sum(chosen.rewards) - sum(rejected.rewards);
}

/** A token that makes part of the margin. */
export interface Credit {
  readonly side: 'chosen' | 'rejected';
  readonly index: number;
  readonly text: string;
  /** Its contribution to the margin: that of a rejected token counts with the opposite sign. */
  readonly credit: number;
}

/** Every token by what it adds to the margin, the largest first. */
export function creditsOf(pair: ScoredPair): Credit[] {
  const of = (side: 'chosen' | 'rejected', sign: 1 | -1): Credit[] =>
    (pair[side].contributions ?? []).map((value, index) => ({
      side,
      index,
      text: pair[side].tokens[index],
      credit: sign * value,
    }));
  return [...of('chosen', 1), ...of('rejected', -1)].sort((a, b) => Math.abs(b.credit) - Math.abs(a.credit));
}

/** Share of all tokens that is enough for half of the sum of |credit|, the most decisive first. */
export function shareForHalf(credits: readonly Credit[]): number {
  const total = sum(credits.map(({ credit }) => Math.abs(credit)));
  let reached = 0;
  const needed = credits.findIndex(({ credit }) => {
    reached += Math.abs(credit);
    return reached >= total / 2;
  });
  return credits.length === 0 ? 0 : (needed + 1) / credits.length;
}

/** Policy minus reference or pane A minus pane B, per token, where both scored the same tokens. */
export function differenceOf(a: ScoredSide, b: ScoredSide, view: View): number[] | undefined {
  const [first, second] = [valuesOf(a, view), valuesOf(b, view)];
  if (first === undefined || second === undefined || a.token_ids.join() !== b.token_ids.join())
    return undefined;
  return first.map((value, i) => value - second[i]);
}
