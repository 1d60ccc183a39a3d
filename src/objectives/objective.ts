/**
 * What a preference objective is. It sees the token log-probs of the whole optimizer step (or of one micro-batch, where
 * it is separable: the sum over micro-batches is then the same) and gives the loss; its own tape gives dL/dlogp. What it
 * wants besides, it declares in `needs`: nothing else is computed or uploaded, and nobody asks for its name.
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

/** What the loop must provide; it computes and uploads nothing that the objective in use does not need. */
export interface Needs {
  /** 'none', the reference's token log-probs, or its logits beside the policy's (epsilon-DPO). */
  readonly reference: 'none' | 'logps' | 'logits';
  /** With 'logits': the epsilon of the perturbed logits z +- epsilon (z - zref) behind `logpSteps`. */
  readonly perturbation?: number;
  /** The reference follows the policy during the run (TR-DPO), so that nothing about it may be cached. */
  readonly referenceUpdate?: ReferenceUpdate;
  /** Rows: pairs; pairs or single answers with a label; or chosen answers only. */
  readonly rows: 'pairs' | 'labels' | 'chosen';
  /** `diff`: token differences between chosen and rejected, and how they are found. */
  readonly differences?: 'levenshtein' | 'difflib';
  /** `dataWeights`: the token weights that the rows carry. */
  readonly dataWeights?: boolean;
  /** `mismatched`: log-probs of another prompt's completion for every prompt (KTO). */
  readonly mismatched?: boolean;
  /** `likelihoodWeights`, for a likelihood term that is a mean over tokens. */
  readonly likelihood?: boolean;
  /** `gumbels`: seeded noise, for draws without replacement. Only where the objective is not separable. */
  readonly gumbels?: boolean;
}

/** After every `every` optimizer steps: ref <- share policy + (1 - share) ref. */
export interface ReferenceUpdate {
  readonly every: number;
  /** In (0, 1]; 1 copies the policy. */
  readonly share: number;
}

/** What the loop hands over: log-probs and what is known about the rows. Optional fields come where `needs` has them. */
export interface TokenInputs {
  /** Policy token log-probs [R]. */
  readonly logps: Tensor;
  /** Reference token log-probs [R], when `needs.reference` is not 'none'. */
  readonly refLogps?: Tensor;
  /** f32 [R], 1 where a token differs from the other answer. */
  readonly diff?: Tensor;
  /** Token weights given in the data [R] (DPO(EW)). */
  readonly dataWeights?: Tensor;
  /** With 'logits': log p+ - log p and log p - log p- per token [R], under the perturbed logits. */
  readonly logpSteps?: { readonly plus: Tensor; readonly minus: Tensor };
  readonly chosen: Answers;
  readonly rejected: Answers;
  readonly mismatched?: Answers;
  /** f32 [P]: 1 / (pairs in the whole optimizer step) for a pair, 0 for an empty slot. A mean is a sum of these. */
  readonly pairWeights: Tensor;
  /** f32 [P]: 1 / (chosen response tokens in the whole step) for a pair, 0 for an empty slot: the nll's mean. */
  readonly likelihoodWeights?: Tensor;
  /**
   * f32 [P] each, with rows of labels: 1 / answers of the step where there is a chosen (desirable) or rejected
   * (undesirable) answer, else 0.
   */
  readonly labels?: { readonly desirable: Tensor; readonly undesirable: Tensor };
  /** Standard Gumbel noise, one per pair [P], from the run's seed. */
  readonly gumbels?: Tensor;
  /** beta-DPO: 1 / kept for the pairs to keep, else 0 [P], in place of the draw; to compare with other implementations. */
  readonly selection?: Tensor;
  /** False in evaluation, which moves no state and draws nothing. */
  readonly training: boolean;
}

/** The same for an objective: on its tape, with `logps` a leaf that wants a gradient and token weights worked out. */
export interface ObjectiveInputs extends TokenInputs {
  readonly tape: Tape;
  /** lambda [R]: weights of the policy terms (token-weights/); absent means 1. Constants to the gradient. */
  readonly weights?: Tensor;
  /** Weights of the reference terms [R], where they differ from `weights`. */
  readonly refWeights?: Tensor;
}

export interface ObjectiveResult {
  /** f32 [1]: the part of the step's loss that these rows make. */
  readonly loss: Tensor;
  /** f32 [P]: the method's loss per pair, before weighting; without likelihood terms that are means over all tokens. */
  readonly losses: Tensor;
  /** Further metrics, f32 [P], logged as their mean over pairs. Where `inputs.training` is false there may be more. */
  readonly metrics?: Readonly<Record<string, Tensor>>;
  /** Further metrics, f32 [1], logged as they are. */
  readonly scalars?: Readonly<Record<string, Tensor>>;
  /** In training: what is added to the state's accumulators 'step.*', f32 [1] each. */
  readonly accumulate?: Readonly<Record<string, Tensor>>;
  /** Parts of the computation, f32 [P], that are not logged but worth a look when one pair is examined. */
  readonly details?: Readonly<Record<string, Tensor>>;
}

/** State on the GPU, by name, f32 [1] each; part of every checkpoint. */
export type ObjectiveState = Readonly<Record<string, Tensor>>;

/** Values of the configuration that depend on the objective, where the user gives none. */
export interface ObjectiveDefaults {
  readonly learning_rate?: number;
}

/** What a method says of itself whatever its settings are. */
interface Description {
  readonly name: string;
  /** The loss in plain text, for `prefgrad objectives` and docs. */
  readonly formula: string;
  readonly paper: string;
  /** True when it is defined with weighted log-probs too, so that token weights (BMC, from the data) may go on top. */
  readonly takesTokenWeights: boolean;
  readonly defaults?: ObjectiveDefaults;
}

/** A method: what `defineObjective` takes. */
export interface Objective<Settings> extends Description {
  /** Settings with ranges and defaults. */
  readonly settings: z.ZodType<Settings>;
  /** True when the loss of a step is the sum over its micro-batches, given the step's counts. */
  readonly separable: boolean;
  needs(settings: Settings): Needs;
  /** Initial state. Names that begin with 'step.' are accumulators: 0 at the start of every step. */
  initState?(settings: Settings): Readonly<Record<string, number>>;
  losses(inputs: ObjectiveInputs, settings: Settings, state: ObjectiveState): ObjectiveResult;
  /**
   * f32 [R]: per-token terms whose sum over an answer is its logged reward (weighted and length-normalised where the
   * method is). Detached. `result` is what `losses` gave.
   */
  contributions(inputs: ObjectiveInputs, settings: Settings, result: ObjectiveResult): Tensor;
  /** New values of the state after an optimizer step, f32 [1] each; committed only when the step's gradient was finite. */
  nextState?(tape: Tape, settings: Settings, state: ObjectiveState): Readonly<Record<string, Tensor>>;
  /** The factor of log p - log pref in the rewards that `score` writes per token; 1 unless given. */
  rewardScale?(settings: Settings): number;
  /** What is worth knowing before a run of so many optimizer steps begins, such as a setting that will have no effect in it. */
  warnings?(settings: Settings, totalSteps: number): readonly string[];
  /**
   * The loss where policy and reference are the same model, and rewards are exactly 0: what the first step of such a run
   * must show. Left out where it depends on the rows.
   */
  lossAtReference?(settings: Settings): number | undefined;
}

/** An objective with its settings filled in: what the loop works with. */
export interface BoundObjective {
  readonly name: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly separable: boolean;
  readonly needs: Needs;
  readonly initState: Readonly<Record<string, number>>;
  readonly rewardScale: number;
  readonly lossAtReference: number | undefined;
  warnings(totalSteps: number): readonly string[];
  losses(inputs: ObjectiveInputs, state: ObjectiveState): ObjectiveResult;
  contributions(inputs: ObjectiveInputs, result: ObjectiveResult): Tensor;
  nextState?(tape: Tape, state: ObjectiveState): Readonly<Record<string, Tensor>>;
}

/** An objective of any settings, as the registry lists it. */
export interface RegisteredObjective extends Description {
  readonly settings: z.ZodType;
  /** Checks settings and fills in defaults. @throws z.ZodError */
  bind(settings: unknown): BoundObjective;
}

/** Makes an objective ready for the registry. */
export function defineObjective<Settings>(objective: Objective<Settings>): RegisteredObjective {
  const { name, formula, paper, takesTokenWeights, defaults, separable } = objective;
  return {
    name,
    formula,
    paper,
    takesTokenWeights,
    defaults,
    settings: objective.settings,
    bind(raw) {
      const settings = objective.settings.parse(raw);
      const { nextState } = objective;
      return {
        name,
        separable,
        settings: settings as Record<string, unknown>,
        needs: objective.needs(settings),
        initState: objective.initState?.(settings) ?? {},
        rewardScale: objective.rewardScale?.(settings) ?? 1,
        lossAtReference: objective.lossAtReference?.(settings),
        warnings: (totalSteps) => objective.warnings?.(settings, totalSteps) ?? [],
        losses: (inputs, state) => objective.losses(inputs, settings, state),
        contributions: (inputs, result) => objective.contributions(inputs, settings, result),
        nextState: nextState && ((tape, state) => nextState.call(objective, tape, settings, state)),
      };
    },
  };
}
