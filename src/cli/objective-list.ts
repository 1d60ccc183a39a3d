/** What `prefgrad objectives` prints: every method with its formula, settings, needs and paper. */
import type { z } from 'zod';
import type { Needs, ObjectiveDefaults, RegisteredObjective } from '../objectives/objective.ts';
import type { RegisteredTokenWeight } from '../objectives/token-weights/token-weight.ts';
import { describeValue, inputSchema } from '../schema-problems.ts';

export interface SettingFacts {
  readonly name: string;
  readonly value: string;
  readonly default: unknown;
  readonly description: string;
}

export interface ObjectiveFacts {
  readonly name: string;
  readonly formula: string;
  readonly paper: string;
  readonly settings: readonly SettingFacts[];
  /** With default settings. */
  readonly needs: Needs;
  readonly takesTokenWeights: boolean;
  readonly defaults: ObjectiveDefaults;
}

export function objectiveFacts(objective: RegisteredObjective): ObjectiveFacts {
  const { name, formula, paper, takesTokenWeights, defaults = {} } = objective;
  const settings = settingFacts(objective.settings);
  return { name, formula, paper, settings, needs: objective.bind({}).needs, takesTokenWeights, defaults };
}

export function settingFacts(schema: z.ZodType): SettingFacts[] {
  return Object.entries(inputSchema(schema).properties ?? {}).map(([name, setting]) => ({
    name,
    value: describeValue(setting),
    default: setting.default,
    description: setting.description ?? '',
  }));
}

export function objectiveText(facts: ObjectiveFacts): string {
  return [
    facts.name,
    `  loss      ${facts.formula}`,
    `  paper     ${facts.paper}`,
    `  needs     ${needsText(facts.needs)}`,
    `  takes     ${facts.takesTokenWeights ? 'token weights' : 'no token weights'}`,
    settingsText(facts.settings),
    '',
  ].join('\n');
}

/** A token weight, as `objective.token_weights` names it. */
export function tokenWeightText({ name, formula, paper, settings }: RegisteredTokenWeight): string {
  return [
    `token_weights: ${name}`,
    `  weight    ${formula}`,
    `  paper     ${paper}`,
    settingsText(settingFacts(settings)),
    '',
  ].join('\n');
}

function settingsText(settings: readonly SettingFacts[]): string {
  if (settings.length === 0) return '  settings  none';
  const lines = settings.map(({ name, value, default: fallback, description }) => {
    const shown = fallback === undefined ? '' : `, default ${JSON.stringify(fallback)}`;
    return `    ${name}: ${value}${shown}${description === '' ? '' : `; ${description}`}`;
  });
  return `  settings\n${lines.join('\n')}`;
}

const ROWS: Readonly<Record<Needs['rows'], string>> = {
  pairs: 'pairs of answers',
  labels: 'pairs, or single answers with a label',
  chosen: 'one answer per row',
};

const REFERENCE: Readonly<Record<Needs['reference'], string | undefined>> = {
  none: undefined,
  logps: 'log-probs of a reference',
  logits: 'logits of a reference beside the policy',
};

function needsText(needs: Needs): string {
  const parts = [
    ROWS[needs.rows],
    REFERENCE[needs.reference],
    needs.referenceUpdate ? 'a reference that follows the policy' : undefined,
    needs.differences === undefined ? undefined : 'token differences',
    needs.mismatched ? 'completions of other prompts' : undefined,
  ];
  return parts.filter((part) => part !== undefined).join(', ');
}
