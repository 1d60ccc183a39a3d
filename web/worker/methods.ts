/** The methods and their settings, for the page's menus; read off the schemas that training uses. */
import { z } from 'zod';
import { objectives } from '../../src/objectives/registry.ts';
import type { MethodSummary, SettingSummary } from './protocol.ts';

interface JsonSchema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly default?: number | boolean | string;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
  readonly description?: string;
}

export function methodSummaries(): MethodSummary[] {
  return objectives.map(({ name, formula, paper, settings, takes, bind }) => {
    const schema = z.toJSONSchema(settings, { io: 'input' }) as { properties?: Record<string, JsonSchema> };
    return {
      name,
      formula,
      paper,
      needsReference: bind({}).needs.reference !== 'none',
      takesBmc: takes.bmc,
      settings: Object.entries(schema.properties ?? {}).flatMap(([key, value]) => settingOf(key, value)),
    };
  });
}

/** Settings without a default are left to the method. */
function settingOf(name: string, schema: JsonSchema): SettingSummary[] {
  if (schema.default === undefined) return [];
  const kind =
    schema.enum !== undefined
      ? 'choice'
      : schema.type === 'boolean' || schema.type === 'integer'
        ? schema.type
        : 'number';
  return [
    {
      name,
      kind,
      default: schema.default,
      minimum: schema.minimum ?? schema.exclusiveMinimum,
      maximum: schema.maximum ?? schema.exclusiveMaximum,
      choices: schema.enum,
      description: schema.description ?? '',
    },
  ];
}
