/** What the loss tool asks of the engine, and on which axes the answers are drawn. All numbers are those of production kernels. */
import type { EngineApi, MethodSummary, PlaygroundCurve } from '../worker/protocol.ts';
import type { Series } from './charts.ts';

type Settings = Readonly<Record<string, unknown>>;
type Losses = Pick<EngineApi, 'playground'>;

/** Tokens per answer. */
const LENGTH = 10;
/** Gaps of mean log-probs, chosen minus rejected, under the policy. */
const GAPS = Array.from({ length: 41 }, (_, i) => (i - 20) * 0.075);
/** The same under the reference: MIPO's K, low, none and high. */
const REFERENCE_GAPS = [-1, 0, 1];
/** K of MIPO's Figure 5. */
const STARTS = GAPS.filter((_, i) => i % 4 === 0);
const sums = (gaps: readonly number[]) => gaps.map((gap) => gap * LENGTH);

/** Curves over one axis. */
export interface LossCurves {
  readonly x: readonly number[];
  readonly loss: readonly Series[];
  readonly gradient: readonly Series[];
  /** epsilon-DPO's beta of every pair; undefined where a method has one for all. */
  readonly beta: readonly Series[] | undefined;
}

/**
 * Loss and gradient weight over the policy's gap, one curve per K of the reference (MIPO, Figure 6). Marked is the gap that the
 * method asks for, where its loss is log 2: MIPO's q = log(1 + e^K).
 */
export async function curvesOverGap(
  engine: Losses,
  { name, needsReference }: MethodSummary,
  settings: Settings,
): Promise<LossCurves> {
  const curves = await engine.playground({
    method: { name, settings: { ...settings } },
    margins: sums(GAPS),
    referenceMargins: sums(needsReference ? REFERENCE_GAPS : [0]),
    length: LENGTH,
  });
  const series = (of: (curve: PlaygroundCurve) => readonly number[]): Series[] =>
    curves.map((curve) => ({
      name: needsReference ? `K = ${curve.referenceMargin / LENGTH}` : name,
      values: of(curve),
      mark: wanted(curve.loss),
    }));
  return {
    x: GAPS,
    loss: series(({ loss }) => loss),
    gradient: series(({ gradientWeight }) => gradientWeight),
    beta: curves.every(({ betas }) => betas !== undefined) ? series(({ betas = [] }) => betas) : undefined,
  };
}

/** The loss where the policy still is the reference, over K, which is the gap of both (MIPO, Figure 5). */
export async function lossAtStart(
  engine: Losses,
  { name }: MethodSummary,
  settings: Settings,
): Promise<{ readonly x: readonly number[]; readonly loss: readonly number[] }> {
  const margins = sums(STARTS);
  const method = { name, settings: { ...settings } };
  const curves = await engine.playground({ method, margins, referenceMargins: margins, length: LENGTH });
  return { x: STARTS, loss: curves.map(({ loss }, i) => loss[i]) };
}

/** The gap at which the loss is log 2. The logit of its sigmoid, −log(e^loss − 1), is a straight line and 0 there. */
function wanted(loss: readonly number[]): number | undefined {
  const logits = loss.map((value) => -Math.log(Math.expm1(value)));
  const after = logits.findIndex((logit, i) => i > 0 && logits[i - 1] < 0 && logit >= 0);
  if (after < 0) return undefined;
  const [below, above] = [logits[after - 1], logits[after]];
  return GAPS[after - 1] + ((GAPS[after] - GAPS[after - 1]) * below) / (below - above);
}
