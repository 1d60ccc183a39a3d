/**
 * Stochastic gradient descent with momentum, as torch.optim.SGD (no dampening, not Nesterov's):
 *
 *   g = gradient + decay w;   b = momentum b + g;   w = w - lr b
 *
 * Without momentum it keeps nothing per weight. The weight decay goes through the momentum, unlike AdamW's.
 */
import { z } from 'zod';
import { recordUpdate } from '../ops/optimizer/update.ts';
import { defineOptimizer, updateOf } from './update-rule.ts';

export const sgd = defineOptimizer({
  keys: {
    sgd_momentum: z
      .number()
      .min(0)
      .lt(1)
      .default(0)
      .describe('sgd: share of the last update that the next one keeps'),
  },
  create: ({ sgd_momentum: momentum, weight_decay }) => ({
    moments: momentum === 0 ? [] : ['momentum_buffer'],
    values: (_step, learningRate) => [learningRate, momentum, weight_decay],
    record(recorder, range, inputs) {
      const [buffer] = range.moments;
      recordUpdate(recorder, updateOf(range, inputs), (common) => ({
        kernel: 'sgd',
        ...common,
        conditions: { ...common.conditions, MOMENTUM: momentum !== 0 },
        bindings: { ...common.bindings, buffer },
      }));
    },
  }),
});
