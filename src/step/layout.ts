/** How an example of a step lies on the token axis. */
import type { Layout } from '../data/batches.ts';
import type { Example } from '../data/examples.ts';
import type { ActiveObjective } from '../objectives/choice.ts';
import type { TrainConfig } from '../train/config.ts';
import type { Slot } from './micro-batches.ts';

/** KTO's mismatched completion is the chosen (or only) answer of the slot's partner. */
export function layoutOf(
  { objective, config }: { readonly objective: ActiveObjective; readonly config: TrainConfig },
  examples: readonly Example[],
  { next }: Slot,
): Layout {
  const other = examples[next];
  const answer = other.kind === 'pair' ? other.chosen : other.completion;
  return {
    mismatched: objective.needs.mismatched ? answer : undefined,
    sharePrompt: config.training.prompt_sharing,
  };
}
