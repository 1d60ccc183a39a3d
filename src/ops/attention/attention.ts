/**
 * attention over a packed token axis in which answers share their prompt.
 *
 *   y_i = sum_j softmax_j(scale q_i . k_j) v_j   over the tokens j that i sees:
 *   j <= i, and j in i's own branch or in the prompt of i's document; positions within a sliding window, if there is one.
 *
 * q [T, heads * headDim], k and v [T, kvHeads * headDim]; a group of heads / kvHeads heads shares one kv head.
 */
import type { GradientContext, Op } from '../../autograd/op.ts';
import { type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import { gridFor, workgroupSize } from '../launch.ts';
import {
  launchBackwardKeyValue,
  launchBackwardQuery,
  launchForward,
  makesHalf,
  scoreScale,
} from './attention-variants.ts';

/** Who sees whom; index tensors, u32. */
export interface AttentionLayout {
  /** [T, 4]: document start, prompt end, branch start, position. */
  readonly visibility: Tensor;
  /** [T, 2]: one past the last token that may see this one, and its position. */
  readonly seen: Tensor;
  /** [blocks, 2]: first token and count of stretches that see alike (src/data/token-blocks.ts); unused ones are empty. */
  readonly blocks: Tensor;
}

/** What attention computes in one layer of a model. */
export interface AttentionShape {
  readonly heads: number;
  readonly kvHeads: number;
  /** A multiple of 4, at most 256. */
  readonly headDim: number;
  /** Factor on q . k. Default 1 / sqrt(headDim). */
  readonly scale?: number;
  /** A token sees this many positions back, itself included. */
  readonly window?: number | undefined;
  /** Gemma 2's cap on scores: cap * tanh(score / cap). */
  readonly softcap?: number | undefined;
}

export interface AttentionAttributes extends AttentionShape {
  readonly layout: AttentionLayout;
  /** Lets kernels of GPUs make y in f16 as `half_input` does, for a product that stages it so anyway (`stagesInputs`). */
  readonly half?: boolean;
}

export const attention: Op<AttentionAttributes> = {
  name: 'attention',

  launch(recorder, [q, k, v], attributes) {
    const isHalf = attributes.half === true && makesHalf(recorder, attributes);
    const y = temporary(recorder, 'attention', q.shape, isHalf ? 'f16' : 'f32');
    const lse = temporary(recorder, 'attention log-sum-exp', [q.shape[0], attributes.heads]);
    const operands = { q: whole(q), k: whole(k), v: whole(v) };
    const visibility = whole(attributes.layout.visibility);
    const bindings = { ...operands, visibility, y: whole(y), lse: whole(lse) };
    launchForward(recorder, attributes, bindings, isHalf);
    return { outputs: [y], saved: [lse] };
  },

  // With p = softmax(s):  ds_ij = p_ij (dy_i . v_j - dy_i . y_i);  dq_i = sum_j ds_ij k_j;  dk_j = sum_i ds_ij q_i;  dv_j = sum_i p_ij dy_i
  gradient(context: GradientContext<AttentionAttributes>) {
    const { recorder, attributes, inputs, outputs, saved, outputGradients, needs, target, pass } = context;
    const [q, k, v] = inputs;
    const [dy] = outputGradients;
    if (dy === undefined) return;
    const tokens = q.shape[0];
    const stats = temporary(recorder, 'attention stats', [tokens, attributes.heads, 2]);
    recorder.launch({
      kernel: 'attention_backward_stats',
      conditions: { HALF: outputs[0].dtype === 'f16' },
      constants: { HEAD4: attributes.headDim / 4, WORKGROUP: workgroupSize(recorder) },
      bindings: { y: whole(outputs[0]), dy: whole(dy), lse: whole(saved[0]), stats: whole(stats) },
      grid: gridFor(recorder, tokens * attributes.heads),
    });
    const operands = { q: whole(q), k: whole(k), v: whole(v), dy: whole(dy), stats: whole(stats) };
    if (needs(0)) {
      const { tensor, accumulate } = target(0);
      const bindings = { ...operands, visibility: whole(attributes.layout.visibility), dq: whole(tensor) };
      launchBackwardQuery(recorder, attributes, bindings, accumulate);
    }
    if (needs(1) || needs(2)) {
      const dk = temporary(recorder, 'd k', k.shape);
      const dv = temporary(recorder, 'd v', v.shape);
      const bindings = {
        ...operands,
        seen: whole(attributes.layout.seen),
        dk: whole(dk),
        dv: whole(dv),
      };
      launchBackwardKeyValue(recorder, attributes, bindings);
      pass(1, dk);
      pass(2, dv);
    }
  },

  reference([q, k, v], attributes, index) {
    const { layout, heads, kvHeads, headDim, window, softcap } = attributes;
    const scale = scoreScale(attributes);
    const tokens = q.shape[0];
    const visibility = index(layout.visibility);
    const data = new Float64Array(tokens * heads * headDim);
    for (let i = 0; i < tokens; i++) {
      const [docStart, prefixEnd, branchStart, position] = visibility.subarray(4 * i, 4 * i + 4);
      for (let h = 0; h < heads; h++) {
        const kvHead = Math.floor((h * kvHeads) / heads);
        const weights = new Map<number, number>();
        for (let j = 0; j <= i; j++) {
          const inReach = j >= branchStart || (j >= docStart && j < prefixEnd);
          if (!inReach || position - visibility[4 * j + 3] >= (window ?? Number.POSITIVE_INFINITY)) continue;
          let score = 0;
          for (let d = 0; d < headDim; d++)
            score += q.data[(i * heads + h) * headDim + d] * k.data[(j * kvHeads + kvHead) * headDim + d];
          score *= scale;
          weights.set(j, softcap === undefined ? score : softcap * Math.tanh(score / softcap));
        }
        const largest = Math.max(...weights.values());
        const total = [...weights.values()].reduce((sum, s) => sum + Math.exp(s - largest), 0);
        for (const [j, score] of weights) {
          const p = Math.exp(score - largest) / total;
          for (let d = 0; d < headDim; d++)
            data[(i * heads + h) * headDim + d] += p * v.data[(j * kvHeads + kvHead) * headDim + d];
        }
      }
    }
    return [{ shape: q.shape, data }];
  },
};
