/** Says what is wrong with a value: what was found, what is allowed, and for an unknown key the nearest known one. */
import { distance } from 'fastest-levenshtein';
import { z } from 'zod';
import { nearest } from './nearest.ts';

/** One thing that is wrong, at one place of a configuration. */
export interface Problem {
  /** Keys from the root to the value, or to the key that should not be there. */
  readonly path: readonly (string | number)[];
  /** What was found and what is allowed. */
  readonly message: string;
}

/** The part of JSON Schema that zod writes for our schemas. */
export interface ValueSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly minLength?: number;
  readonly examples?: readonly unknown[];
  readonly minItems?: number;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
  readonly properties?: Readonly<Record<string, ValueSchema>>;
  readonly required?: readonly string[];
  readonly items?: ValueSchema;
  readonly anyOf?: readonly ValueSchema[];
  readonly propertyNames?: ValueSchema;
  readonly additionalProperties?: ValueSchema | boolean;
}

/** What a user may write under a zod schema. */
export function inputSchema(schema: z.ZodType): ValueSchema {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as ValueSchema;
}

/**
 * @param raw the values that were checked
 * @param prefix the place of `raw` in the configuration
 * @param hint what to say about an unknown key that others use
 */
export function problemsOf(
  error: z.ZodError,
  schema: z.ZodType,
  raw: unknown,
  prefix: readonly string[] = [],
  hint: (path: Problem['path']) => string | undefined = () => undefined,
): Problem[] {
  const root = inputSchema(schema);
  return error.issues.flatMap((issue) => {
    const keys = issue.path.map((key) => (typeof key === 'symbol' ? String(key) : key));
    const path = [...prefix, ...keys];
    const allowed = keys.reduce<ValueSchema | undefined>(child, root);
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => {
        const at = [...path, key];
        return { path: at, message: hint(at) ?? unknownKey(key, allowed) };
      });
    }
    if (issue.code === 'custom') return [{ path, message: issue.message }];
    return [{ path, message: `${found(valueAt(raw, keys))}; expected ${describeValue(allowed)}` }];
  });
}

/** What a schema allows, in words: 'a number greater than 0 and at most 1', 'one of cosine, linear, constant'. */
export function describeValue(schema: ValueSchema | undefined): string {
  if (schema === undefined) return 'another value';
  if (schema.enum !== undefined) return `one of ${schema.enum.join(', ')}`;
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map(describeValue))].join(', or ');
  switch (schema.type) {
    case 'integer':
      return `a whole number${range(schema)}`;
    case 'number':
      return `a number${range(schema)}`;
    case 'string':
      if (schema.examples !== undefined) return `a text such as ${schema.examples.join(' or ')}`;
      return schema.minLength === undefined ? 'text' : 'text that is not empty';
    case 'boolean':
      return 'true or false';
    case 'array':
      return `a list${schema.minItems === undefined ? '' : ' that is not empty'}, each entry ${describeValue(schema.items)}`;
    case 'object':
      return `keys with values (${keysOf(schema).slice(0, 4).join(', ') || 'name: value'}, ...)`;
    default:
      return 'another value';
  }
}

/** Names that may stand directly under a schema. */
export function keysOf(schema: ValueSchema | undefined): string[] {
  return schema?.properties !== undefined
    ? Object.keys(schema.properties)
    : (schema?.propertyNames?.enum ?? []).map(String);
}

function range({ minimum, exclusiveMinimum, maximum, exclusiveMaximum }: ValueSchema): string {
  const limits: string[] = [];
  if (exclusiveMinimum !== undefined) limits.push(`greater than ${exclusiveMinimum}`);
  else if (minimum !== undefined && minimum > Number.MIN_SAFE_INTEGER) limits.push(`of at least ${minimum}`);
  if (exclusiveMaximum !== undefined) limits.push(`less than ${exclusiveMaximum}`);
  else if (maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER) limits.push(`at most ${maximum}`);
  return limits.length === 0 ? '' : ` ${limits.join(' and ')}`;
}

function child(schema: ValueSchema | undefined, key: string | number): ValueSchema | undefined {
  if (typeof key === 'number') return schema?.items;
  const { additionalProperties } = schema ?? {};
  return (
    schema?.properties?.[key] ?? (typeof additionalProperties === 'object' ? additionalProperties : undefined)
  );
}

function unknownKey(key: string, schema: ValueSchema | undefined): string {
  const known = keysOf(schema);
  if (known.length === 0) return 'there is no such key, and none is expected here';
  // People shorten names: 'batch_size' is nearer to 'per_device_train_batch_size' than edits say.
  const longer = known.filter((name) => name.includes(key));
  const guess = nearest(key, longer.length > 0 ? longer : known);
  const isSure = distance(key, guess) <= Math.max(2, key.length / 2);
  return `there is no such key; did you mean ${guess}?${isSure ? '' : ` Known: ${known.join(', ')}`}`;
}

function valueAt(raw: unknown, keys: readonly (string | number)[]): unknown {
  return keys.reduce<unknown>(
    (value, key) => (value as Record<string | number, unknown> | undefined)?.[key],
    raw,
  );
}

function found(value: unknown): string {
  if (value === undefined) return 'is missing';
  if (value === null) return 'found nothing';
  const text = JSON.stringify(value) ?? String(value);
  return `found ${text.length > 60 ? `${text.slice(0, 57)}...` : text}`;
}
