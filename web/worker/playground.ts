/**
 * Loss and gradient weight of a method against the policy's margin, by the production objective: two words stand for the
 * vocabulary, and every token of an answer has the log-prob that gives the answer its sum.
 */
import type { CasePair } from '../../src/evaluate/case-file.ts';
import { evaluateCase } from '../../src/evaluate/case-result.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import type { PlaygroundCurve, PlaygroundRequest } from './protocol.ts';

/** Mean log-prob per token in the middle between both answers. */
const MIDDLE = -2;

export async function playgroundCurves(
  gpu: Gpu,
  { method, margins, referenceMargins, length }: PlaygroundRequest,
): Promise<PlaygroundCurve[]> {
  const name = method.name.replaceAll('-', '_') + (method.bmc === undefined ? '' : '_bmc');
  const hp = { ...method.settings, ...method.bmc };
  const curves: PlaygroundCurve[] = [];
  for (const referenceMargin of referenceMargins) {
    const pairs = margins.map((margin): CasePair => {
      const ids = Array.from({ length }, () => 1);
      const other = Array.from({ length }, () => 0);
      const [pc, pr] = sidesOf(margin, length);
      const [rc, rr] = sidesOf(referenceMargin, length);
      return {
        chosen_ids: ids,
        rejected_ids: other,
        policy_chosen_logits: ids.map(() => logitsOf(pc, 1)),
        policy_rejected_logits: other.map(() => logitsOf(pr, 0)),
        ref_chosen_logits: ids.map(() => logitsOf(rc, 1)),
        ref_rejected_logits: other.map(() => logitsOf(rr, 0)),
      };
    });
    const result = await evaluateCase(gpu, pairs, { name, hp });
    curves.push({
      referenceMargin,
      loss: result.losses ?? [],
      // The loss is a mean over pairs, and every token of an answer pulls alike.
      gradientWeight: (result.grad_chosen ?? []).map(([first]) => -first * margins.length),
    });
  }
  return curves;
}

/** Log-probs per token of chosen and rejected whose sums differ by `margin`. */
function sidesOf(margin: number, length: number): [number, number] {
  const half = margin / (2 * length);
  return [Math.min(-1e-3, MIDDLE + half), Math.min(-1e-3, MIDDLE - half)];
}

/** Logits of two words under which word `target` has this log-prob. */
function logitsOf(logp: number, target: 0 | 1): number[] {
  const z = logp - Math.log(-Math.expm1(logp));
  return target === 1 ? [0, z] : [z, 0];
}
