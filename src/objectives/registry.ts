/** Every objective, by name. */
import { z } from 'zod';
import { InputError, InputErrors } from '../errors.ts';
import { nearest } from '../nearest.ts';
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
import type { BoundObjective, Needs, RegisteredObjective } from './objective.ts';
import { type BmcSettings, bmcSchema } from './token-weights/bmc.ts';

export const objectives: readonly RegisteredObjective[] = [
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
];

/** An objective with its settings and, on top of it, BMC's token weights. */
export interface ActiveObjective extends BoundObjective {
  readonly bmc: BmcSettings | undefined;
}

/** What a configuration says about the objective. */
export interface ObjectiveChoice {
  readonly name: string;
  readonly settings?: unknown;
  /** undefined leaves BMC out; {} takes its defaults. */
  readonly bmc?: unknown;
  /** The data carries token weights. */
  readonly dataWeights?: boolean;
}

/** @throws InputError for an unknown name, with the nearest known one. */
export function findObjective(name: string): RegisteredObjective {
  const found = objectives.find((o) => o.name === name);
  if (found !== undefined) return found;
  const names = objectives.map((o) => o.name);
  throw new InputError(
    `objective: there is no ${JSON.stringify(name)}; did you mean ${nearest(name, names)}? Known: ${names.join(', ')}.`,
  );
}

/** @throws InputError for unknown names, settings out of range and token weights that the method cannot take. */
export function activate(choice: ObjectiveChoice): ActiveObjective {
  const objective = findObjective(choice.name);
  if (choice.bmc !== undefined && !objective.takes.bmc) {
    const takers = objectives.filter((o) => o.takes.bmc).map((o) => o.name);
    throw new InputError(`bmc: ${objective.name} does not take BMC token weights; ${takers.join(', ')} do.`);
  }
  if (choice.dataWeights && !objective.takes.dataWeights) {
    throw new InputError(
      `data: the rows carry token weights, which ${objective.name} does not take; dpo does. Remove the columns or use dpo.`,
    );
  }
  if (choice.bmc !== undefined && choice.dataWeights) {
    throw new InputError(
      'bmc: the rows carry token weights of their own. Remove the columns or leave bmc out.',
    );
  }
  const bound = parsed('settings', () => objective.bind(choice.settings ?? {}), objective.settings);
  const bmc =
    choice.bmc === undefined ? undefined : parsed('bmc', () => bmcSchema.parse(choice.bmc), bmcSchema);
  const needs: Needs = bmc === undefined ? bound.needs : { ...bound.needs, differences: bmc.diff };
  return { ...bound, needs, bmc };
}

function parsed<T>(where: string, parse: () => T, schema: z.ZodType): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof z.ZodError)
      throw new InputErrors(`${where} of the objective:`, describeIssues(error, where, schema));
    throw error;
  }
}

/** One line per problem, with the nearest known key for an unknown one. */
export function describeIssues(error: z.ZodError, where: string, schema: z.ZodType): string[] {
  return error.issues.map((issue) => {
    const path = [where, ...issue.path].join('.');
    if (issue.code !== 'unrecognized_keys') return `${path}: ${issue.message}`;
    const known = settingNames(schema);
    return issue.keys
      .map(
        (key) =>
          `${path}.${key}: there is no such setting${known.length === 0 ? '; it has none' : `; did you mean ${nearest(key, known)}?`}`,
      )
      .join('; ');
  });
}

/** Names of the settings of an objective. */
export function settingNames(schema: z.ZodType): string[] {
  const described = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return Object.keys(described.properties ?? {});
}
