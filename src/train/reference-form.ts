/** In which form an objective gets its reference. */
import type { Example } from '../data/examples.ts';
import type { Gpu } from '../gpu/device.ts';
import type { LoadedModel } from '../models/loading/load.ts';
import type { Needs } from '../objectives/objective.ts';
import type { LmHead } from '../ops/logps/logit-chunks.ts';
import { referenceLogps } from '../step/reference-rows.ts';
import type { HiddenRows } from '../step/step-rows.ts';
import type { TrainConfig } from './config.ts';

/** What a trainer is given of the reference. */
export type TrainerReference =
  /** A model beside the policy. With LoRA it may be the policy itself, `adapter` off. */
  | { readonly form: 'live'; readonly loaded: LoadedModel; readonly adapter: boolean }
  /** Per example: log-probs of its response tokens, in the order its answers are packed. */
  | {
      readonly form: 'logps';
      readonly train: readonly Float32Array[];
      readonly eval: readonly Float32Array[];
    }
  /** Hidden states of the response tokens, which are not on the GPU, and the head above them, which is. */
  | {
      readonly form: 'hidden';
      readonly train: HiddenRows;
      readonly eval: HiddenRows | undefined;
      readonly head: LmHead;
    };

/**
 * The form for an objective: live where logits, or rows that change with the batch, cannot come from a cache, or where the
 * user wants it so.
 */
export function referenceForm(
  { reference, referenceUpdate, mismatched }: Needs,
  mode: TrainConfig['reference']['mode'],
): TrainerReference['form'] | 'none' {
  if (reference === 'none') return 'none';
  const mustBeLive = referenceUpdate !== undefined || mismatched === true || mode === 'in_step';
  if (mustBeLive || (reference === 'logits' && mode !== 'precompute')) return 'live';
  return reference === 'logps' ? 'logps' : 'hidden';
}

export interface ReferenceOptions {
  /** Of a batch that it computes. */
  readonly maxTokens: number;
  /** in_step: live, also where log-probs would do. Default: auto. */
  readonly mode?: 'auto' | 'in_step' | undefined;
  /** Told what takes time. */
  readonly note?: (line: string) => void;
}

/**
 * The reference in the form that the objective needs, from a model that is loaded already: live, or its log-probs of the
 * data, which are computed here.
 */
export async function referenceFrom(
  gpu: Gpu,
  needs: Needs,
  { loaded, adapter }: { readonly loaded: LoadedModel; readonly adapter: boolean },
  data: { readonly train: readonly Example[]; readonly eval?: readonly Example[] },
  { maxTokens, mode = 'auto', note = () => {} }: ReferenceOptions,
): Promise<TrainerReference | undefined> {
  const form = referenceForm(needs, mode);
  if (form === 'none') return undefined;
  if (form === 'live') return { form, loaded, adapter };
  const logps = (examples: readonly Example[]) => {
    if (examples.length > 0) note(`Computing the reference log-probs of ${examples.length} rows.`);
    return referenceLogps(gpu, { model: loaded.model, adapter }, examples, maxTokens);
  };
  return { form: 'logps', train: await logps(data.train), eval: await logps(data.eval ?? []) };
}
