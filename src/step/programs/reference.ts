/** The programs of a reference that runs before training: what it says about every response token. */

import type { Tensor } from '../../autograd/tensor.ts';
import type { Workspace } from '../../autograd/workspace.ts';
import type { Program } from '../../gpu/program.ts';
import { accumulate, tapeFor } from '../../ops/index.ts';
import type { BatchTensors } from '../batch-tensors.ts';
import { type FrozenModel, referenceHidden, referenceLogps } from '../forward.ts';

/** Hidden states of the response tokens under a model that is not trained, into `into` [rows, hidden]. */
export function hiddenProgram(
  workspace: Workspace,
  reference: FrozenModel,
  batch: BatchTensors,
  into: Tensor,
): Program {
  return workspace.program(`hidden states of ${batch.capacity.tokens} tokens`, (recorder) => {
    const hidden = referenceHidden(tapeFor(recorder), reference, batch);
    accumulate(recorder, hidden, { tensor: into, accumulate: false });
  });
}

/** Log-probs of the response tokens under a model that is not trained, into `into` [rows]. */
export function logpsProgram(
  workspace: Workspace,
  reference: FrozenModel,
  batch: BatchTensors,
  into: Tensor,
): Program {
  return workspace.program(`log-probs of ${batch.capacity.tokens} tokens`, (recorder) => {
    const logps = referenceLogps(tapeFor(recorder), reference, batch);
    accumulate(recorder, logps, { tensor: into, accumulate: false });
  });
}
