/** A check of the whole engine that every run with a live reference makes for free. */
import { RunError } from '../errors.ts';
import type { Metrics } from './hooks.ts';
import { needsLiveReference, type TrainerParts } from './trainer.ts';

/** With a live reference equal to the policy the first DPO step must give ln 2 and rewards of 0; anything else is a mistake. */
export function checkFirstStep(parts: Pick<TrainerParts, 'objective' | 'config'>, metrics: Metrics): void {
  const { objective, config } = parts;
  if (objective.name !== 'dpo' || !needsLiveReference(parts) || config.reference.model !== undefined) return;
  const exact =
    Math.abs(metrics.loss - Math.LN2) < 1e-4 &&
    metrics['rewards/chosen'] === 0 &&
    metrics['rewards/rejected'] === 0;
  if (exact) return;
  throw new RunError(
    `Before training, policy and reference are the same model, so the loss must be ln 2 = 0.6931 and rewards 0; ` +
      `found loss ${metrics.loss} and rewards ${metrics['rewards/chosen']}, ${metrics['rewards/rejected']}. Please report this with "prefgrad doctor --json".`,
  );
}
