/** Cases that PyTorch computed in f64, and how a result is compared with one. */
import type { CasePair } from '../../src/cases/file.ts';
import { expectClose } from '../support/close.ts';

export interface GoldenCase {
  readonly name: string;
  readonly hp: Record<string, unknown>;
  readonly [key: string]: unknown;
}

export interface Golden {
  readonly batch: { readonly pairs: CasePair[] };
  readonly cases: GoldenCase[];
  readonly epsilon_dpo_extra: { readonly pairs: CasePair[]; readonly case: GoldenCase };
  readonly epsilon_dpo_beta_update: {
    readonly epsilon: number;
    readonly trajectory: readonly {
      readonly beta_before: number;
      readonly micro_steps: readonly (readonly number[])[];
      readonly beta_after: number;
    }[];
  };
}

/** What a case may have that a result of ours has too. */
const COMPARED = [
  'loss',
  'losses',
  'losses_desirable',
  'losses_undesirable',
  'grad_chosen',
  'grad_rejected',
  'grad_chosen_logits',
  'grad_rejected_logits',
  'chosen_rewards',
  'rejected_rewards',
  'weight_chosen',
  'weight_rejected',
  'log_odds',
  'K',
  'q',
  'kl',
  'gap_mean_after',
  'gap_std_after',
  'beta_used',
  'beta_per_pair',
  'beta_next',
];

/**
 * @param tolerances - for fields that get another than 1e-5
 * @throws Error naming the case, the field and the place of the first mismatch. Steps must be equal.
 */
export function expectCase(
  actual: object,
  expected: GoldenCase,
  tolerances: Readonly<Record<string, number>> = {},
): void {
  const values = actual as Readonly<Record<string, unknown>>;
  const label = (key: string) => `${expected.name} ${JSON.stringify(expected.hp)}: ${key}`;
  for (const key of COMPARED) {
    if (expected[key] === undefined) continue;
    if (values[key] === undefined) throw new Error(`${label(key)} is missing.`);
    expectClose(numbers(values[key]), numbers(expected[key]), tolerances[key] ?? 1e-5, label(key));
  }
  if (expected.steps !== undefined)
    expectClose(numbers(values.steps), numbers(expected.steps), 0, label('steps'));
}

export function numbers(value: unknown): number[] {
  return Array.isArray(value) ? value.flatMap(numbers) : [Number(value)];
}

/** 'dpo_bmc {"beta":0.1}' beside each case, for `it.each`. */
export function named(cases: readonly GoldenCase[]): [string, GoldenCase][] {
  return cases.map((c) => [`${c.name} ${JSON.stringify(c.hp)}`, c]);
}
