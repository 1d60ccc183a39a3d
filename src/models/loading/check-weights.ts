/** Whether a checkpoint holds the weights that its config.json describes, by what its headers say. */
import { InputErrors } from '../../errors.ts';
import type { WeightSpec } from '../causal-lm.ts';
import type { WeightSource } from './random-weights.ts';

/** @throws InputErrors naming every weight that is missing, misshapen, of an unreadable dtype, or unknown. */
export function checkWeights(
  directory: Pick<WeightSource, 'path' | 'tensors'>,
  weights: readonly WeightSpec[],
  backbone = false,
): void {
  const problems: string[] = [];
  for (const { name, shape } of weights) {
    const entry = directory.tensors.get(name);
    if (entry === undefined) problems.push(`${name}: missing, expected shape [${shape}]`);
    else if (entry.shape.join() !== shape.join())
      problems.push(`${name}: has shape [${entry.shape}], expected [${shape}]`);
    else if (!['F32', 'F16', 'BF16'].includes(entry.dtype))
      problems.push(`${name}: ${entry.dtype} is not supported, only F32, F16 and BF16`);
  }
  const known = new Set(weights.map(({ name }) => name));
  for (const name of directory.tensors.keys()) {
    // Old checkpoints carry rotary frequencies, which follow from the config, and a copy of a tied head.
    const redundant = name.endsWith('rotary_emb.inv_freq') || name === 'lm_head.weight';
    const otherHead = backbone && !name.startsWith('model.');
    if (!known.has(name) && !redundant && !otherHead) problems.push(`${name}: this model has no such weight`);
  }
  if (problems.length > 0)
    throw new InputErrors(
      `${directory.path} does not hold the weights that its config.json describes:`,
      problems,
    );
}
