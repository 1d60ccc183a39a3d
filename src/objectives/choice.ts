/**
 * What a configuration says about the objective, and what may be wrong with it. Training, scoring and `validate` all ask
 * here, so that a choice is refused everywhere in the same words.
 */
import { z } from 'zod';
import { InputError, InputErrors } from '../errors.ts';
import { type Problem, problemsOf } from '../schema-problems.ts';
import type { BoundObjective, RegisteredObjective } from './objective.ts';
import { objectiveRegistry, objectives, tokenWeightRegistry } from './registry.ts';
import { bmc, bmcSettings } from './token-weights/bmc.ts';
import { dataWeights } from './token-weights/data.ts';
import type { BoundTokenWeight } from './token-weights/token-weight.ts';

/** The group `objective` of a configuration. */
export const choiceSchema = z.strictObject({
  name: z.string().describe('the method; "prefgrad objectives" lists all with their settings'),
  settings: z.record(z.string(), z.unknown()).default({}).describe("the method's own settings, such as beta"),
  token_weights: z
    .strictObject({
      name: z.string().describe('the token weight; "prefgrad objectives" lists all with their settings'),
      settings: z.record(z.string(), z.unknown()).default({}).describe("the token weight's own settings"),
    })
    .optional()
    .describe(
      'weights of response tokens on top of the method; "token_weights: bmc" is short for "{name: bmc}"',
    ),
  bmc: bmcSettings.optional().describe('short for token_weights: {name: bmc, settings}; {} for defaults'),
});

/** The same for programs. */
export interface ObjectiveChoice {
  readonly name: string;
  readonly settings?: unknown;
  readonly token_weights?: { readonly name: string; readonly settings?: unknown } | undefined;
  /** Short for token_weights: {name: 'bmc', settings}. */
  readonly bmc?: unknown;
  /** Do the rows carry token weights? undefined: not known yet. */
  readonly dataWeights?: boolean;
}

/** An objective with its settings and, on top of it, token weights. `needs` are those of both. */
export interface ActiveObjective extends BoundObjective {
  readonly tokenWeights: BoundTokenWeight | undefined;
}

/** @throws InputErrors for unknown names, settings out of range and token weights that the method cannot take. */
export function activate(choice: ObjectiveChoice): ActiveObjective {
  const problems = choiceProblems(choice);
  if (problems.length > 0) {
    throw new InputErrors(
      'objective:',
      problems.map(({ path, message }) => `${path.join('.')}: ${message}`),
    );
  }
  const registered = objectiveRegistry.find(choice.name);
  if (registered === undefined) throw new RangeError('An unknown objective was not refused.');
  const objective = registered.bind(choice.settings ?? {});
  const weights = weightsWithData(registered, choice);
  const tokenWeights = weights && tokenWeightRegistry.find(weights.name)?.bind(weights.settings ?? {});
  return { ...objective, needs: { ...objective.needs, ...tokenWeights?.needs }, tokenWeights };
}

/**
 * Everything that is wrong with a choice, with paths inside of the group. Values of the wrong type are left to the schema.
 */
export function choiceProblems(choice: ObjectiveChoice): Problem[] {
  const objective = objectiveRegistry.find(choice.name);
  if (objective === undefined) return [{ path: ['name'], message: objectiveRegistry.unknown(choice.name) }];
  return [
    ...settingsProblems(objective.settings, choice.settings, ['settings']),
    ...weightProblems(objective, choice),
  ];
}

function settingsProblems(schema: z.ZodType, settings: unknown, path: readonly string[]): Problem[] {
  if (!isGroup(settings)) return [];
  const parsed = schema.safeParse(settings ?? {});
  return parsed.success ? [] : problemsOf(parsed.error, schema, settings, path);
}

function weightProblems(objective: RegisteredObjective, choice: ObjectiveChoice): Problem[] {
  if (choice.token_weights !== undefined && choice.bmc !== undefined)
    return [{ path: ['bmc'], message: 'there are token_weights already; remove one of the two' }];
  const weights = weightsOf(choice);
  if (weights === undefined) return [];
  const isShort = choice.bmc !== undefined;
  const path = isShort ? ['bmc'] : ['token_weights'];
  if (!objective.takesTokenWeights) {
    const message = `${objective.name} does not take token weights; ${takers()} do`;
    return [{ path, message }];
  }
  const registered = tokenWeightRegistry.find(weights.name);
  if (registered === undefined)
    return [{ path: [...path, 'name'], message: tokenWeightRegistry.unknown(weights.name) }];
  return settingsProblems(registered.settings, weights.settings, isShort ? path : [...path, 'settings']);
}

function weightsOf({ token_weights, bmc: settings }: ObjectiveChoice): ObjectiveChoice['token_weights'] {
  return settings === undefined ? token_weights : { name: bmc.name, settings };
}

/** Weights that the rows carry are used or refused, never passed over. @throws InputError */
function weightsWithData(
  objective: RegisteredObjective,
  choice: ObjectiveChoice,
): ObjectiveChoice['token_weights'] {
  const chosen = weightsOf(choice);
  if (choice.dataWeights === undefined) return chosen;
  const chosenName = chosen?.name;
  if (!choice.dataWeights) {
    if (chosenName !== dataWeights.name) return chosen;
    throw new InputError(
      'objective.token_weights: no row carries token weights (chosen_weights, rejected_weights); add them, or remove this key.',
    );
  }
  if (!objective.takesTokenWeights) {
    throw new InputError(
      `data: the rows carry token weights, which ${objective.name} does not take; ${takers()} do. Remove the columns or use one of these.`,
    );
  }
  if (chosenName !== undefined && chosenName !== dataWeights.name) {
    throw new InputError(
      `data: the rows carry token weights of their own, and the objective has those of ${chosenName}. Remove the columns or leave ${chosenName} out.`,
    );
  }
  return { name: dataWeights.name };
}

function takers(): string {
  return objectives
    .filter((o) => o.takesTokenWeights)
    .map((o) => o.name)
    .join(', ');
}

function isGroup(value: unknown): boolean {
  return value === undefined || (typeof value === 'object' && value !== null && !Array.isArray(value));
}
