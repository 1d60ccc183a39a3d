/** Objectives that serve to look at models, whatever a run was trained with. */
import { type ActiveObjective, activate } from './choice.ts';
import { dpo } from './methods/dpo.ts';
import { epsilonDpo } from './methods/epsilon-dpo.ts';
import { sft } from './methods/sft.ts';
import { simpo } from './methods/simpo.ts';

/** The name of the simplest method that reads a reference, or takes token weights, as asked. */
export function simplestObjective(asked: {
  readonly reference: boolean;
  readonly tokenWeights: boolean;
}): string {
  if (asked.reference) return dpo.name;
  return asked.tokenWeights ? simpo.name : sft.name;
}

/**
 * Gives, per pair, the step of epsilon-DPO's beta as `details.steps` and beta itself as `details.beta_per_pair`.
 * @param settings beta, epsilon, step_epsilon; defaults are the method's
 */
export function epsilonSteps(settings: Readonly<Record<string, unknown>> = {}): ActiveObjective {
  return activate({ name: epsilonDpo.name, settings });
}
