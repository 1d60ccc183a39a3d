/** The keys of a configuration as help texts list them. */

import { describeValue, inputSchema, keysOf, type ValueSchema } from '../schema-problems.ts';
import { trainConfigSchema } from '../train/config.ts';

export interface ConfigKey {
  /** Dotted, as `--set` takes it. */
  readonly key: string;
  readonly required: boolean;
  readonly description: string;
  /** What may be written, in words; undefined for a group. */
  readonly value: string | undefined;
  readonly fallback: unknown;
}

/** Every key in the order of the schema; groups stand before their members. */
export function configKeys(): ConfigKey[] {
  return membersOf(inputSchema(trainConfigSchema), '');
}

function membersOf(group: ValueSchema, prefix: string): ConfigKey[] {
  return Object.entries(group.properties ?? {}).flatMap(([name, schema]) => {
    const key = `${prefix}${name}`;
    const isGroup = schema.properties !== undefined;
    const entry: ConfigKey = {
      key,
      required: group.required?.includes(name) ?? false,
      description: schema.description ?? '',
      value: isGroup ? undefined : valueText(schema),
      fallback: isGroup ? undefined : schema.default,
    };
    return [entry, ...membersOf(schema, `${key}.`)];
  });
}

function valueText(schema: ValueSchema): string {
  const names = schema.type === 'object' ? keysOf(schema) : [];
  return names.length > 0 ? `keys among ${names.join(', ')}` : describeValue(schema);
}

/** The keys as a text: one line of name and description, one of what may be written. */
export function configKeysText(): string {
  const lines = configKeys().flatMap(({ key, required, description, value, fallback }) => {
    const head = `  ${key}${required ? ' (required)' : ''}: ${description}`;
    if (value === undefined) return ['', head];
    const shown = fallback === undefined ? '' : `; default ${JSON.stringify(fallback)}`;
    return [head, `      ${value}${shown}`];
  });
  return `Configuration keys:\n${lines.join('\n')}\n`;
}
