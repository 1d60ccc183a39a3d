/** The methods of the registry as a page shows them. */
import { inputSchema, type ValueSchema } from '../../src/engine.ts';
import { objectives } from '../../src/index.ts';
import type { MethodSummary, SettingSummary } from './protocol.ts';

export function methodSummaries(): MethodSummary[] {
  return objectives.map((objective) => {
    const { needs } = objective.bind({});
    return {
      name: objective.name,
      formula: objective.formula,
      paper: objective.paper,
      needsReference: needs.reference !== 'none',
      rows: needs.rows,
      dependsOnMargin: needs.rows === 'pairs' && needs.differences === undefined,
      takesBmc: objective.takesTokenWeights,
      settings: Object.entries(inputSchema(objective.settings).properties ?? {}).map(([name, schema]) =>
        settingSummary(name, schema),
      ),
    };
  });
}

function settingSummary(name: string, schema: ValueSchema): SettingSummary {
  const kinds = { integer: 'integer', boolean: 'boolean' } as const;
  const kind = schema.enum === undefined ? (kinds[schema.type as keyof typeof kinds] ?? 'number') : 'choice';
  return {
    name,
    kind,
    default: schema.default as SettingSummary['default'],
    minimum: schema.minimum ?? schema.exclusiveMinimum,
    maximum: schema.maximum ?? schema.exclusiveMaximum,
    choices: schema.enum?.map(String),
    description: schema.description ?? '',
  };
}
