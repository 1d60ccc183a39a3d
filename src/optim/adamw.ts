/**
 * AdamW (Loshchilov & Hutter, Decoupled Weight Decay Regularization), as torch.optim.AdamW:
 *
 *   m = b1 m + (1 - b1) g;   v = b2 v + (1 - b2) g^2
 *   w = w - lr (decay w + (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps))
 */
import { z } from 'zod';
import { recordUpdate } from '../ops/optimizer/update.ts';
import { defineOptimizer, updateOf } from './update-rule.ts';

export const adamw = defineOptimizer({
  keys: {
    adam_beta1: z.number().min(0).lt(1).default(0.9).describe('adamw: decay of the mean of gradients'),
    adam_beta2: z
      .number()
      .min(0)
      .lt(1)
      .default(0.999)
      .describe('adamw: decay of the mean of squared gradients'),
    adam_epsilon: z
      .number()
      .gt(0)
      .default(1e-8)
      .describe('adamw: added to the root of the squared-gradient mean'),
  },
  create: ({ adam_beta1: beta1, adam_beta2: beta2, adam_epsilon: epsilon, weight_decay }) => ({
    moments: ['exp_avg', 'exp_avg_sq'],
    // Differences from 1 are taken here, in f64: 1 - 0.999 in f32 is off by 5e-5 of itself.
    values: (step, learningRate) => [
      learningRate,
      beta1,
      beta2,
      epsilon,
      weight_decay,
      1 - beta1 ** step,
      1 - beta2 ** step,
      1 - beta1,
      1 - beta2,
    ],
    record(recorder, range, inputs) {
      const [m, v] = range.moments;
      recordUpdate(recorder, updateOf(range, inputs), (common) => ({
        kernel: 'adamw',
        ...common,
        bindings: { ...common.bindings, m, v },
      }));
    },
  }),
});
