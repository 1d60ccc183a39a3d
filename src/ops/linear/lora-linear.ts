/**
 * loraLinear: y = x wᵀ + scale (x aᵀ) bᵀ (+ residual or bias). x [T, K], w [N, K], a [R, K], b [N, R], y [T, N].
 *
 * The pair's narrow product comes first; the wide one then takes it into its own sum, so that y and dx are written once.
 */
import type { Op } from '../../autograd/op.ts';
import { temporary, whole } from '../../autograd/tensor.ts';
import {
  addedOf,
  gradientOfSum,
  type LinearAttributes,
  launchLinear,
  launchLinearBackwardInput,
  launchLinearBackwardWeight,
  linear,
  passToAdded,
} from './linear.ts';

/** Inputs: x, w, a, b, and optionally a residual [T, N] or a bias [N]. */
export const loraLinear: Op<LinearAttributes> = {
  name: 'lora_linear',

  launch(recorder, [x, w, a, b, added], { scale = 1, rotary }) {
    const rows = x.shape[0];
    const low = temporary(recorder, 'lora', [rows, a.shape[0]]);
    const y = temporary(recorder, 'linear', [rows, w.shape[0]]);
    launchLinear(recorder, whole(x), whole(low), { rows, weight: a, scale, accumulate: false, x: x.dtype });
    const product = { rows, weight: w, scale: 1, accumulate: false, x: x.dtype };
    const lowRank = { own: whole(low), other: b };
    launchLinear(recorder, whole(x), whole(y), product, { added: addedOf(added), lowRank, rotary });
    return { outputs: [y], saved: [low] };
  },

  // Of dy turned back, if y was turned:   l = s x aᵀ,  dl = s dy b:   dx = dy w + dl a,   dw = dyᵀ x,   da = dlᵀ x,   db = dyᵀ l,   dr = dy
  gradient(context) {
    const {
      recorder,
      inputs: [x, w, a, b],
      inputs,
      saved: [low],
      attributes,
      needs,
      target,
    } = context;
    const dy = gradientOfSum(context);
    if (dy === undefined) return;
    const { scale = 1 } = attributes;
    const rows = x.shape[0];
    const weightGradient = (i: number, own: typeof dy, other: typeof dy) => {
      if (!needs(i)) return;
      const { tensor, accumulate } = target(i);
      const stored = inputs[i].dtype;
      const product = { rows, weight: tensor, scale: 1, accumulate, stored, x: other.dtype };
      launchLinearBackwardWeight(recorder, whole(own), whole(other), product);
    };
    weightGradient(1, dy, x);
    weightGradient(3, dy, low);
    const dLow = temporary(recorder, 'd lora', low.shape);
    const lowProduct = { rows, weight: b, scale, accumulate: false };
    launchLinearBackwardInput(recorder, whole(dy), whole(dLow), lowProduct);
    weightGradient(2, dLow, x);
    if (needs(0)) {
      const { tensor, accumulate } = target(0);
      const product = { rows, weight: w, scale: 1, accumulate };
      const lowRank = { own: whole(dLow), other: a };
      launchLinearBackwardInput(recorder, whole(dy), whole(tensor), product, lowRank);
    }
    passToAdded(context, 4, dy);
  },

  reference([x, w, a, b, added], { scale = 1, rotary }, index) {
    const [low] = linear.reference([x, a], { scale }, index);
    const base = linear.reference(added === undefined ? [x, w] : [x, w, added], {}, index);
    return linear.reference([low, b, base[0]], { rotary }, index);
  },
};
