/** What `prefgrad objectives` prints: every method with its formula, settings, needs and paper. */
import type { Needs, ObjectiveDefaults, RegisteredObjective } from '../objectives/objective.ts';
import { describeValue, inputSchema } from '../schema-problems.ts';

export interface ObjectiveFacts {
  readonly name: string;
  readonly formula: string;
  readonly paper: string;
  readonly settings: readonly {
    readonly name: string;
    readonly value: string;
    readonly default: unknown;
    readonly description: string;
  }[];
  /** With default settings. */
  readonly needs: Needs;
  readonly takesTokenWeights: boolean;
  readonly defaults: ObjectiveDefaults;
}

export function objectiveFacts(objective: RegisteredObjective): ObjectiveFacts {
  const { name, formula, paper, takesTokenWeights, defaults = {} } = objective;
  const settings = Object.entries(inputSchema(objective.settings).properties ?? {}).map(([key, schema]) => ({
    name: key,
    value: describeValue(schema),
    default: schema.default,
    description: schema.description ?? '',
  }));
  return { name, formula, paper, settings, needs: objective.bind({}).needs, takesTokenWeights, defaults };
}

export function objectiveText(facts: ObjectiveFacts): string {
  const settings = facts.settings.map(({ name, value, default: fallback, description }) => {
    const shown = fallback === undefined ? '' : `, default ${JSON.stringify(fallback)}`;
    return `    ${name}: ${value}${shown}${description === '' ? '' : `; ${description}`}`;
  });
  return [
    facts.name,
    `  loss      ${facts.formula}`,
    `  paper     ${facts.paper}`,
    `  needs     ${needsText(facts.needs)}`,
    `  takes     ${facts.takesTokenWeights ? 'token weights' : 'no token weights'}`,
    settings.length === 0 ? '  settings  none' : `  settings\n${settings.join('\n')}`,
    '',
  ].join('\n');
}

const ROWS: Readonly<Record<Needs['rows'], string>> = {
  pairs: 'pairs of answers',
  labels: 'pairs, or single answers with a label',
  chosen: 'chosen answers',
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
