/** Every optimizer by the name that `training.optim` gives it. A new one is a file like these, its kernel, and two lines here. */
import { adamw } from './adamw.ts';
import { sgd } from './sgd.ts';
import type { UpdateRule } from './update-rule.ts';

export const optimizers = { adamw, sgd } as const;

/** The keys of all optimizers, for the group `training` of a configuration. */
export const optimizerKeys = { ...adamw.keys, ...sgd.keys };

export type OptimizerName = keyof typeof optimizers;

/** Other names under which people know one of them: transformers' for the plain PyTorch implementation. */
export const OPTIMIZER_SYNONYMS = { adamw_torch: 'adamw' } as const satisfies Record<string, OptimizerName>;

/** What each of them takes, together. */
export type OptimizerSettings = Parameters<typeof adamw.create>[0] & Parameters<typeof sgd.create>[0];

export function updateRule(name: OptimizerName, settings: OptimizerSettings): UpdateRule {
  return optimizers[name].create(settings);
}
