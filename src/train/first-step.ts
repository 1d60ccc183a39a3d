/** A check of the whole engine that every run with a live reference makes for free. */
import { RunError } from '../errors.ts';
import type { ActiveObjective } from '../objectives/choice.ts';
import type { Metrics } from './hooks.ts';

/**
 * With a live reference equal to the policy the first step must give the loss that the objective has there, and rewards of
 * exactly 0; anything else is a mistake. A reference that moves is kept in f32 beside a policy that may compute in 16
 * bits, so it is left out.
 * @param isReferencePolicy the reference runs beside the policy, and started as the same weights
 */
export function checkFirstStep(
  objective: ActiveObjective,
  isReferencePolicy: boolean,
  metrics: Metrics,
): void {
  const { lossAtReference: loss, needs } = objective;
  if (!isReferencePolicy || loss === undefined || needs.referenceUpdate !== undefined) return;
  const isExact =
    Math.abs(metrics.loss - loss) < 1e-4 * Math.max(1, loss) &&
    metrics['rewards/chosen'] === 0 &&
    metrics['rewards/rejected'] === 0;
  if (isExact) return;
  throw new RunError(
    `Before training, policy and reference are the same model, so the loss of ${objective.name} must be ${loss.toFixed(4)} and rewards 0; ` +
      `found loss ${metrics.loss} and rewards ${metrics['rewards/chosen']}, ${metrics['rewards/rejected']}. Please report this with "prefgrad doctor --json".`,
  );
}
