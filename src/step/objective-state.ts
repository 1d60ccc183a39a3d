/** The state that an objective keeps on the GPU, f32 [1] by name. */
import { upload } from '../autograd/tensor.ts';
import type { Workspace } from '../autograd/workspace.ts';
import type { ActiveObjective } from '../objectives/choice.ts';
import type { ObjectiveState } from '../objectives/objective.ts';

/** Its tensors, which `resetState` must fill once they are allocated. */
export function reserveState(workspace: Workspace, { initState }: ActiveObjective): ObjectiveState {
  return Object.fromEntries(
    Object.keys(initState).map((name) => [name, workspace.tensor(name, [1], 'f32', 'state')]),
  );
}

/** Sets the state to that before the first step. */
export function resetState({ gpu }: Workspace, { initState }: ActiveObjective, state: ObjectiveState): void {
  for (const [name, value] of Object.entries(initState)) upload(gpu, state[name], new Float32Array([value]));
}
