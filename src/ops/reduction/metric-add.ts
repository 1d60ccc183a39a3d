/** Adds to, or sets, one element of a vector of metrics (metric_add.wgsl). */
import { type Tensor, whole } from '../../autograd/tensor.ts';
import type { Recorder } from '../../gpu/program.ts';
import { constantsOnGpu } from '../constants.ts';

/** What is added to a metric, or what it is set to. */
export type MetricValue =
  /** sum of values · weights; with `others`, of weights where the value is greater. f32 [P] each. */
  | { readonly kind: 'mean'; readonly values: Tensor; readonly weights: Tensor; readonly others?: Tensor }
  /** Adds a value [1]. */
  | { readonly kind: 'sum'; readonly values: Tensor }
  /** Sets the metric to one element of `values`. */
  | { readonly kind: 'set'; readonly values: Tensor; readonly element: number };

/** @param metrics f32 */
export function recordMetric(recorder: Recorder, metrics: Tensor, index: number, value: MetricValue): void {
  const { kind, values } = value;
  const { weights, others } = value.kind === 'mean' ? value : {};
  recorder.launch({
    kernel: 'metric_add',
    conditions: { GREATER: others !== undefined, SUM: kind === 'sum', SET: kind === 'set' },
    bindings: {
      metrics: whole(metrics),
      values: whole(values),
      weights: weights && whole(weights),
      others: others && whole(others),
      place: constantsOnGpu(recorder.gpu, Uint32Array.of(index, value.kind === 'set' ? value.element : 0)),
    },
    grid: [1, 1],
  });
}
