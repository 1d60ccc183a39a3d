/** Learning-rate schedules with linear warm-up, as transformers defines them. */

export interface ScheduleSettings {
  readonly type: 'cosine' | 'linear' | 'constant';
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly totalSteps: number;
}

/**
 * The learning rate of optimizer step `step` (0-based):
 *
 *   warm-up   lr * step / warmupSteps
 *   cosine    lr * (1 + cos(pi p)) / 2,   p the share of the steps after warm-up that is done
 *   linear    lr * (1 - p)
 */
export function learningRate(settings: ScheduleSettings, step: number): number {
  const { type, learningRate: lr, warmupSteps, totalSteps } = settings;
  if (step < warmupSteps) return (lr * step) / Math.max(1, warmupSteps);
  if (type === 'constant') return lr;
  const done = (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps);
  return type === 'cosine'
    ? (lr * (1 + Math.cos(Math.PI * Math.min(1, done)))) / 2
    : lr * Math.max(0, 1 - done);
}
