/** YAML of a user as plain values: aliases are limited, circles and bottomless nesting refused. */
import { type Document, parseDocument, YAMLParseError } from 'yaml';

/** Deeper than any configuration; more would exhaust the stack of whoever walks over it. */
const MOST_LEVELS = 100;

/** @throws YAMLParseError also for aliases that have no anchor, that multiply, or that lead in a circle */
export function yamlValues(tree: Document.Parsed): unknown {
  let values: unknown;
  try {
    values = tree.toJS({ maxAliasCount: 100 });
  } catch (error) {
    if (!(error instanceof ReferenceError || error instanceof RangeError)) throw error;
    throw unusable(error.message.split('\n')[0]);
  }
  if (isDeeper(values, MOST_LEVELS))
    throw unusable(`nested deeper than ${MOST_LEVELS} levels, or in a circle`);
  return values;
}

/** @throws YAMLParseError for text that is no YAML, and as `yamlValues` */
export function parseYaml(text: string): unknown {
  const tree = readYaml(text);
  const [error] = tree.errors;
  if (error !== undefined) throw error;
  return yamlValues(tree);
}

/** The document, for whoever needs places. @throws YAMLParseError for nesting that the parser has no stack for */
export function readYaml(text: string, options?: Parameters<typeof parseDocument>[1]): Document.Parsed {
  try {
    const tree: Document.Parsed = parseDocument(text, options);
    // The parser reports an exhausted stack among its errors.
    if (tree.errors.some(({ message }) => message.startsWith('Maximum call stack'))) throw new RangeError();
    return tree;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw unusable(`nested deeper than ${MOST_LEVELS} levels`);
  }
}

function unusable(message: string): YAMLParseError {
  return new YAMLParseError([0, 0], 'BAD_ALIAS', message);
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}
