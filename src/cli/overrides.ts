/** `--set a.b=value`: one value of the configuration, given on the command line. */
import { YAMLError } from 'yaml';
import { readYaml, yamlValues } from '../yaml-values.ts';

/** A key path and the value that goes there. */
export interface Override {
  readonly keys: readonly string[];
  readonly value: unknown;
}

type Problem = { readonly problem: string };

/** Reads 'a.b=value'; the value is YAML, so that numbers, true, lists and {maps: too} come out as such. */
export function parseOverride(text: string): Override | Problem {
  const equals = text.indexOf('=');
  const keys = text.slice(0, Math.max(equals, 0)).trim().split('.');
  if (equals < 1 || keys.some((key) => key === '')) {
    return { problem: `--set ${text}: expected KEY=VALUE, such as training.learning_rate=1e-6` };
  }
  try {
    const document = readYaml(text.slice(equals + 1), { prettyErrors: false });
    const [error] = [...document.errors, ...document.warnings];
    if (error !== undefined) throw error;
    return { keys, value: yamlValues(document) };
  } catch (error) {
    if (!(error instanceof YAMLError)) throw error;
    return { problem: `--set ${keys.join('.')}: the value is not valid YAML (${error.message}); quote it` };
  }
}

/** A copy of `values` with the override in it. Groups that are not there yet are made. */
export function applyOverride(values: unknown, override: Override): { values: unknown } | Problem {
  const { keys } = override;
  const place = (group: unknown, depth: number): unknown => {
    if (depth === keys.length) return override.value;
    if (group !== undefined && group !== null && (typeof group !== 'object' || Array.isArray(group))) {
      throw new NoGroup(keys.slice(0, depth).join('.'));
    }
    const key = keys[depth];
    const inner = group && Object.hasOwn(group, key) ? (group as Record<string, unknown>)[key] : undefined;
    return { ...group, [key]: place(inner, depth + 1) };
  };
  try {
    return { values: place(values, 0) };
  } catch (error) {
    if (!(error instanceof NoGroup)) throw error;
    return { problem: `--set ${keys.join('.')}: ${error.message} is a value, so it has no keys` };
  }
}

/** Something on the way is no group of keys. */
class NoGroup extends Error {}
