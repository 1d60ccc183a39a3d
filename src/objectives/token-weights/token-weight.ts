/**
 * What a token weight is: lambda_t per response token, on top of any objective that is defined with weighted log-probs.
 * A weighted sum takes the place of a sum; a mean divides it by the plain number of tokens (likelihoods.ts).
 */
import type { z } from 'zod';
import type { Tensor } from '../../autograd/tensor.ts';
import type { Recorder } from '../../gpu/program.ts';
import type { Needs, TokenInputs } from '../objective.ts';

/** lambda [R], constants to the gradient; `refWeights` where the reference terms have weights of their own. */
export interface WeightTensors {
  readonly weights: Tensor;
  readonly refWeights?: Tensor;
}

/** A token weight: what `defineTokenWeight` takes. */
export interface TokenWeight<Settings> {
  readonly name: string;
  /** lambda in plain text. */
  readonly formula: string;
  readonly paper: string;
  readonly settings: z.ZodType<Settings>;
  /** What must be known of the tokens besides their log-probs. */
  needs?(settings: Settings): WeightNeeds;
  weights(recorder: Recorder, inputs: TokenInputs, settings: Settings): WeightTensors;
  /** Names of metrics and what their mean per answer is of, f32 [R] each: NAME_chosen and NAME_rejected are logged. */
  metrics?(inputs: TokenInputs, weights: WeightTensors): Readonly<Record<string, Tensor>>;
}

export type WeightNeeds = Pick<Needs, 'differences' | 'dataWeights'>;

/** A token weight with its settings filled in. */
export interface BoundTokenWeight {
  readonly name: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly needs: WeightNeeds;
  weights(recorder: Recorder, inputs: TokenInputs): WeightTensors;
  metrics(inputs: TokenInputs, weights: WeightTensors): Readonly<Record<string, Tensor>>;
}

/** A token weight of any settings, as the registry lists it. */
export interface RegisteredTokenWeight {
  readonly name: string;
  readonly formula: string;
  readonly paper: string;
  readonly settings: z.ZodType;
  /** Checks settings and fills in defaults. @throws z.ZodError */
  bind(settings: unknown): BoundTokenWeight;
}

/** Makes a token weight ready for the registry. */
export function defineTokenWeight<Settings>(weight: TokenWeight<Settings>): RegisteredTokenWeight {
  const { name, formula, paper } = weight;
  return {
    name,
    formula,
    paper,
    settings: weight.settings,
    bind(raw) {
      const settings = weight.settings.parse(raw);
      return {
        name,
        settings: settings as Record<string, unknown>,
        needs: weight.needs?.(settings) ?? {},
        weights: (recorder, inputs) => weight.weights(recorder, inputs, settings),
        metrics: (inputs, weights) => weight.metrics?.(inputs, weights) ?? {},
      };
    },
  };
}
