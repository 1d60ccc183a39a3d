/** What is on the site and in which order. */
import { readdirSync } from 'node:fs';

/** A section of the menu: its title, and pages by the name of their file in docs/ without .md. */
export const MENU: readonly (readonly [string, readonly string[]])[] = [
  ['First', ['start', 'data', 'runs']],
  ['Methods', ['choosing', 'methods', 'optimizers', 'recipes']],
  ['Models', ['lora', 'adapters', 'models', 'gpu-box', 'many-gpus']],
  ['Pairs and answers', ['pipelines', 'generate', 'evaluate']],
  ['Reading results', ['scores', 'page', 'analyze', 'replication']],
  ['Inside', ['library', 'architecture', 'contributing', 'conformance', 'barriers', 'performance-log']],
];

/** Pages of docs/ that no section has; a new page must get a place. */
export function pagesWithoutPlace(): string[] {
  const placed = new Set(MENU.flatMap(([, names]) => names));
  return readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => name.slice(0, -'.md'.length))
    .filter((name) => !placed.has(name));
}
