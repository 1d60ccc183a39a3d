/** One line of `prefgrad objectives --evaluate`. */
import type { Gpu } from '../gpu/device.ts';
import { type CaseValues, computeCase } from './compute.ts';
import type { CasePair, CaseRequest } from './file.ts';
import { perAnswer } from './rows.ts';

/** Computes a case and describes it. @throws InputError for an unknown method or setting */
export async function evaluateCase(
  gpu: Gpu,
  pairs: readonly CasePair[],
  request: CaseRequest,
): Promise<CaseResult> {
  return caseResult(gpu, request, await computeCase(gpu, pairs, request));
}

export type CaseResult = ReturnType<typeof caseResult>;

/** `loss`, `losses`, gradients per token, rewards, and what the method has besides; names as in the file of cases. */
function caseResult(gpu: Gpu, { name, hp }: CaseRequest, computed: CaseValues) {
  const { rows, values, active } = computed;
  const list = (key: string) => (key in values ? Array.from(values[key]) : undefined);
  const scalar = (key: string) => values[key]?.[0];
  const tokens = (side: 'chosen' | 'rejected', key: string, width = 1) =>
    key in values ? perAnswer(rows[side], values[key], width) : undefined;
  const wide = (side: 'chosen' | 'rejected') =>
    active.needs.reference === 'logits' ? tokens(side, 'logitGradient', rows.vocabulary) : undefined;
  // JSON leaves out what is undefined: each method has its own part of these.
  return {
    name,
    hp,
    loss: values.loss[0],
    losses: list('losses'),
    grad_chosen: tokens('chosen', 'gradient'),
    grad_rejected: tokens('rejected', 'gradient'),
    chosen_rewards: list('chosenRewards'),
    rejected_rewards: list('rejectedRewards'),
    weight_chosen: tokens('chosen', 'weights'),
    weight_rejected: tokens('rejected', 'weights'),
    steps: list('steps'),
    beta_per_pair: list('beta_per_pair'),
    beta_next: scalar('state.beta'),
    grad_chosen_logits: wide('chosen'),
    grad_rejected_logits: wide('rejected'),
    losses_desirable: list('losses_desirable'),
    losses_undesirable: list('losses_undesirable'),
    kl: scalar('kl'),
    K: list('mipo/K'),
    q: list('mipo/q'),
    log_odds: list('orpo/log_odds'),
    gap_mean_after: scalar('state.mean'),
    gap_std_after: scalar('state.deviation'),
    beta_used: scalar('beta_dpo/beta'),
    adapter: `${gpu.deviceName} (${gpu.driver})`,
    dispatches: computed.dispatches,
  };
}
