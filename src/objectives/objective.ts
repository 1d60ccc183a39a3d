/**
 * What a preference objective is. It sees the token log-probs of the whole optimizer step (or of one micro-batch, where
 * it is separable: the sum over micro-batches is then the same) and gives the loss; its own tape gives dL/dlogp.
 *
 * Token axis: R response tokens of all answers, EOS included. Pair axis: P pairs (or unpaired answers). Both may end in
 * empty slots, whose pair weight is 0 and whose segments are empty.
 */
import type { z } from 'zod';
import type { Tape } from '../autograd/tape.ts';
import type { Tensor } from '../autograd/tensor.ts';

/** One side of the pairs. */
export interface Answers {
  /** u32 [P, 2]: each answer's first token and one past its last, on the token axis. */
  readonly segments: Tensor;
  /** f32 [P]: |y|, the number of response tokens; 1 in empty slots, so that means stay finite. */
  readonly lengths: Tensor;
}

/** What the loop must provide; it computes nothing that no objective in use needs. */
export interface Needs {
  /** 'none', the reference's token log-probs, or its logits beside the policy's (epsilon-DPO). */
  readonly reference: 'none' | 'logps' | 'logits';
  /** True when the reference follows the policy during the run, so that nothing about it may be cached. */
  readonly liveReference?: boolean;
  /** Rows: pairs, single answers with a label, or only the chosen answer. */
  readonly rows: 'pairs' | 'labels' | 'chosen';
  /** Token differences between chosen and rejected (FIGA; BMC asks for them by itself). */
  readonly differences?: boolean;
  /** KTO: log-probs of a mismatched completion for every prompt. */
  readonly mismatched?: boolean;
}

export interface ObjectiveInputs {
  readonly tape: Tape;
  /** Policy token log-probs [R]; a leaf that wants a gradient. */
  readonly logps: Tensor;
  /** Reference token log-probs [R], when `needs.reference` is not 'none'. */
  readonly refLogps?: Tensor;
  /** f32 [R], 1 where a token differs from the other answer. */
  readonly diff?: Tensor;
  /** lambda [R]: weights of the policy terms (BMC, or given in the data); absent means 1. Constants to the gradient. */
  readonly weights?: Tensor;
  /** Weights of the reference terms [R]; with BMC's `reference_weights: reference` they differ from `weights`. */
  readonly refWeights?: Tensor;
  /** epsilon-DPO: log p+ - log p and log p - log p- per token [R]. */
  readonly logpSteps?: { readonly plus: Tensor; readonly minus: Tensor };
  readonly chosen: Answers;
  readonly rejected: Answers;
  /** KTO: the mismatched completions. */
  readonly mismatched?: Answers;
  /** f32 [P]: 1 / (pairs in the whole optimizer step) for a pair, 0 for an empty slot. A mean is a sum of these. */
  readonly pairWeights: Tensor;
  /** f32 [P]: 1 / (chosen response tokens in the whole step) for a pair, 0 for an empty slot: the nll's mean. */
  readonly tokenWeights: Tensor;
  /** KTO: f32 [P] each; weight of the chosen (desirable) and of the rejected (undesirable) answer in the mean. */
  readonly labelWeights?: { readonly desirable: Tensor; readonly undesirable: Tensor };
  /** The run's random numbers for this step: one uniform in (0, 1) per pair, f32 [P]. */
  readonly uniforms?: Tensor;
}

export interface ObjectiveResult {
  /** f32 [1]: the part of the step's loss that these rows make. */
  readonly loss: Tensor;
  /** f32 [P]: loss per pair, before weighting. */
  readonly losses: Tensor;
  /** Further metrics, f32 [P], logged as their mean over pairs. */
  readonly metrics?: Readonly<Record<string, Tensor>>;
  /** Further metrics, f32 [1], logged as they are (of the last micro-batch of the step). */
  readonly scalars?: Readonly<Record<string, Tensor>>;
}

/** State on the GPU, by name, f32 [1] each; part of every checkpoint. */
export type ObjectiveState = Readonly<Record<string, Tensor>>;

export interface Objective<Settings> {
  readonly name: string;
  /** The formula in plain text, for `prefgrad objectives` and docs. */
  readonly formula: string;
  readonly paper: string;
  /** Settings with ranges and defaults. */
  readonly settings: z.ZodType<Settings>;
  needs(settings: Settings): Needs;
  /** True when the loss of a step is the sum over its micro-batches, given the step's counts. */
  readonly separable: boolean;
  /** Which token-weighting axes it takes. */
  readonly takesWeights: boolean;
  /** Initial values of the state; names of accumulators that start every step at 0 begin with 'step.'. */
  initState(settings: Settings): Readonly<Record<string, number>>;
  losses(inputs: ObjectiveInputs, settings: Settings, state: ObjectiveState): ObjectiveResult;
  /**
   * f32 [R]: per-token terms whose sum over an answer is its logged reward (weighted and length-normalised where the
   * method is). Detached.
   */
  contributions(inputs: ObjectiveInputs, settings: Settings, state: ObjectiveState): Tensor;
  /** Records the update of the state after an optimizer step; runs only when the step's gradient was finite. */
  afterStep?(tape: Tape, settings: Settings, state: ObjectiveState, finite: Tensor): void;
}
