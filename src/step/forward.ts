/** From a packed batch on the GPU to the log-probs of its response tokens. */
import type { Tape } from '../autograd/tape.ts';
import { detach, type Tensor } from '../autograd/tensor.ts';
import type { CausalLM, ForwardOptions, TokenLayout } from '../models/causal-lm.ts';
import { attention } from '../ops/attention/attention.ts';
import { gatherRows } from '../ops/indexing/gather-rows.ts';
import { tokenLogps } from '../ops/logps/token-logps.ts';
import type { BatchTensors } from './batch-tensors.ts';

/** The token axis of a packed batch, as the model wants it. */
export function packedLayout(model: CausalLM, batch: BatchTensors): TokenLayout {
  const layout = {
    visibility: batch.get('visibility'),
    seen: batch.get('seen'),
    blocks: batch.get('blocks'),
  };
  return {
    tokens: {
      ids: batch.get('ids'),
      occurrences: {
        order: batch.get('occurrenceOrder'),
        starts: batch.get('occurrenceStarts'),
        uniqueIds: batch.get('occurrenceIds'),
      },
    },
    positions: batch.get('positions'),
    attend: (tape, layer, q, k, v, half) =>
      tape.apply(attention, [q, k, v], { layout, half, ...model.attention[layer] })[0],
  };
}

/** Hidden states that predict the response tokens, [rows, hidden]. */
export function responseHidden(
  tape: Tape,
  model: CausalLM,
  batch: BatchTensors,
  options: ForwardOptions,
): Tensor {
  const hidden = model.hidden(tape, packedLayout(model, batch), options);
  const picks = { rows: batch.get('headRows'), starts: batch.get('pickStarts'), picks: batch.get('picks') };
  return tape.apply(gatherRows, [hidden], picks)[0];
}

export interface LogpsOptions extends ForwardOptions {
  /** False: no gradient will flow back, so none is prepared. */
  readonly trained: boolean;
}

/** Log-probs of the response tokens, [rows]. */
export function responseLogps(
  tape: Tape,
  model: CausalLM,
  batch: BatchTensors,
  options: LogpsOptions,
): Tensor {
  const tracked = responseHidden(tape, model, batch, options);
  const hidden = options.trained ? tracked : detach(tracked);
  const { weight, softcap } = model.head;
  return tape.apply(tokenLogps, [hidden, weight], { targets: batch.get('targets'), softcap })[0];
}

/** A model as it stands, with or without its LoRA update: nothing flows back through it. */
export interface FrozenModel {
  readonly model: CausalLM;
  readonly adapter: boolean;
}

/** `responseHidden` of a reference. */
export function referenceHidden(tape: Tape, { model, adapter }: FrozenModel, batch: BatchTensors): Tensor {
  const options = { adapter, recomputedBlocks: 0 };
  return tape.recorder.asPart('reference', () => responseHidden(tape.fork(), model, batch, options));
}

/** `responseLogps` of a reference. */
export function referenceLogps(tape: Tape, { model, adapter }: FrozenModel, batch: BatchTensors): Tensor {
  const options = { adapter, recomputedBlocks: 0, trained: false };
  return tape.recorder.asPart('reference', () => responseLogps(tape.fork(), model, batch, options));
}
