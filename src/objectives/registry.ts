/** Every objective and every token weight, by name. A program adds its own with `registerObjective`. */
import { InputError } from '../errors.ts';
import { Registry } from '../registry.ts';
import { betaDpo } from './methods/beta-dpo.ts';
import { cpo } from './methods/cpo.ts';
import { dpo } from './methods/dpo.ts';
import { epsilonDpo } from './methods/epsilon-dpo.ts';
import { figa } from './methods/figa.ts';
import { ipo } from './methods/ipo.ts';
import { kto } from './methods/kto.ts';
import { mipo } from './methods/mipo.ts';
import { orpo } from './methods/orpo.ts';
import { rdpo } from './methods/rdpo.ts';
import { rrhf } from './methods/rrhf.ts';
import { sft } from './methods/sft.ts';
import { simpo } from './methods/simpo.ts';
import { slic } from './methods/slic.ts';
import { trDpo } from './methods/tr-dpo.ts';
import type { ObjectiveDefaults, RegisteredObjective } from './objective.ts';
import { bmc } from './token-weights/bmc.ts';
import { dataWeights } from './token-weights/data.ts';
import type { RegisteredTokenWeight } from './token-weights/token-weight.ts';

export const objectiveRegistry = new Registry<RegisteredObjective>('an objective', [
  sft,
  dpo,
  ipo,
  simpo,
  kto,
  orpo,
  rdpo,
  cpo,
  rrhf,
  slic,
  betaDpo,
  trDpo,
  figa,
  mipo,
  epsilonDpo,
]);

export const tokenWeightRegistry = new Registry<RegisteredTokenWeight>('a token weight', [bmc, dataWeights]);

/** All of them, in the order in which they are listed; those that are registered later stand at the end. */
export const objectives: readonly RegisteredObjective[] = objectiveRegistry.all;

/** Those that may go on top of objectives that take token weights. */
export const tokenWeights: readonly RegisteredTokenWeight[] = tokenWeightRegistry.all;

/** Makes an objective usable by its name. @throws RangeError when the name is taken */
export function registerObjective(objective: RegisteredObjective): void {
  objectiveRegistry.add(objective);
}

/** Makes a token weight usable by its name. @throws RangeError when the name is taken */
export function registerTokenWeight(weight: RegisteredTokenWeight): void {
  tokenWeightRegistry.add(weight);
}

/** @throws InputError for an unknown name, with the nearest known one. */
export function findObjective(name: string): RegisteredObjective {
  const found = objectiveRegistry.find(name);
  if (found === undefined) throw new InputError(`objective: ${objectiveRegistry.unknown(name)}.`);
  return found;
}

/** What a method wants of a configuration that leaves the value out. Empty for an unknown name. */
export function objectiveDefaults(name: string): ObjectiveDefaults {
  return objectiveRegistry.find(name)?.defaults ?? {};
}
