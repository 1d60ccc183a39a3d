/**
 * epsilon_logps: token log-probs of policy and reference, and their change under perturbed logits (epsilon-DPO).
 *
 *   z+- = z +- e d, d = z - zref;   outputs log p, log pref, log p+ - log p, log p - log p-
 *
 * Both logit streams are formed in f32, chunk by chunk as in token_logps, and meet in one kernel; neither hidden states
 * are combined nor is anything rounded. The changes are never differences of two log-probs, whose rounding would drown
 * them while policy and reference are close:
 *
 *   log p+(y) - log p(y) = e d_y - log1p(E_p[expm1(e d)]),   and with -e:   log p(y) - log p-(y) = e d_y + log1p(E_p[expm1(-e d)])
 *
 * Heads may differ. Only log p carries a gradient.
 */
import type { Op } from '../../autograd/op.ts';
import { type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import { gridFor, rowLaunch, workgroupSize } from '../launch.ts';
import { cutAlike, launchLogits, logitChunks, logitScratch, logitsOf, rowsOf } from './logit-chunks.ts';
import { LogpDirection, wantsDirection } from './logp-direction.ts';
import { cap, type TokenLogpsAttributes, tokenLogps } from './token-logps.ts';

export interface EpsilonLogpsAttributes extends TokenLogpsAttributes {
  /** e > 0. */
  readonly epsilon: number;
}

/** Inputs: hidden [R, H], head [V, H], reference hidden [R, H'], reference head [V, H']. Outputs: four times [R]. */
export const epsilonLogps: Op<EpsilonLogpsAttributes> = {
  name: 'epsilon_logps',

  launch(recorder, [hidden, head, refHidden, refHead], { targets, epsilon, softcap }) {
    const rows = hidden.shape[0];
    const constants = { WORKGROUP: workgroupSize(recorder) };
    const scratch = logitScratch(recorder, rows, head);
    const refScratch = logitScratch(recorder, rows, refHead);
    const state = temporary(recorder, 'softmax states', [rows, 16]);
    const direction = wantsDirection(hidden, head)
      ? new LogpDirection(recorder, { hidden, head, softcap, state, stateStride: 4 })
      : undefined;
    for (const chunk of logitChunks(recorder.gpu, rows, cutAlike(head, refHead))) {
      launchLogits(recorder, hidden, head, chunk, scratch);
      launchLogits(recorder, refHidden, refHead, chunk, refScratch);
      const { conditions, ...rowwise } = rowLaunch(recorder, chunk.rows);
      recorder.launch({
        kernel: 'epsilon_logps_chunk_forward',
        conditions: {
          ...conditions,
          FIRST: chunk.first,
          SOFTCAP: softcap !== undefined,
          WEIGHTS: direction !== undefined,
        },
        ...rowwise,
        overrides: { E: epsilon, ...cap(softcap) },
        bindings: {
          z: logitsOf(scratch, chunk),
          r: logitsOf(refScratch, chunk),
          targets: rowsOf(targets, chunk),
          state: rowsOf(state, chunk),
          chunk_start: chunk.startOnGpu,
        },
      });
      direction?.add(chunk, logitsOf(scratch, chunk));
    }
    const make = (label: string): Tensor => temporary(recorder, label, [rows]);
    const outputs = [make('logps'), make('reference logps'), make('log p+ - log p'), make('log p - log p-')];
    const lse = make('log-sum-exp');
    const [logps, refLogps, plus, minus] = outputs.map(whole);
    recorder.launch({
      kernel: 'epsilon_logps_finish',
      constants,
      overrides: { E: epsilon },
      bindings: { state: whole(state), logps, ref_logps: refLogps, plus, minus, lse: whole(lse) },
      grid: gridFor(recorder, rows),
    });
    direction?.finish(targets, lse, outputs[0]);
    return { outputs, saved: direction === undefined ? [lse] : [lse, direction.tensor] };
  },

  // The other three outputs are constants to the objective; log p's gradient is that of token_logps.
  gradient(context) {
    tokenLogps.gradient({
      ...context,
      inputs: context.inputs.slice(0, 2),
      outputs: context.outputs.slice(0, 1),
    });
  },

  reference([hidden, head, refHidden, refHead], attributes, index) {
    const [rows, width] = hidden.shape;
    const logits = (h: typeof hidden, w: typeof head, r: number, v: number) => {
      let z = 0;
      for (let k = 0; k < h.shape[1]; k++) z += h.data[r * h.shape[1] + k] * w.data[v * w.shape[1] + k];
      return attributes.softcap === undefined ? z : attributes.softcap * Math.tanh(z / attributes.softcap);
    };
    const ids = index(attributes.targets);
    const vocabulary = head.shape[0];
    const columns = [0, 1, 2, 3].map(() => new Float64Array(rows));
    for (let r = 0; r < rows && width > 0; r++) {
      const z = Array.from({ length: vocabulary }, (_, v) => logits(hidden, head, r, v));
      const ref = Array.from({ length: vocabulary }, (_, v) => logits(refHidden, refHead, r, v));
      const logp = (e: number) =>
        logSoftmaxAt(
          z.map((value, v) => value + e * (value - ref[v])),
          ids[r],
        );
      columns[0][r] = logp(0);
      columns[1][r] = logSoftmaxAt(ref, ids[r]);
      columns[2][r] = logp(attributes.epsilon) - logp(0);
      columns[3][r] = logp(0) - logp(-attributes.epsilon);
    }
    return columns.map((data) => ({ shape: [rows], data }));
  },
};

function logSoftmaxAt(z: readonly number[], target: number): number {
  const largest = Math.max(...z);
  return z[target] - largest - Math.log(z.reduce((sum, v) => sum + Math.exp(v - largest), 0));
}
