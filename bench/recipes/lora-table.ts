/** The rows of `npm run bench -- lora` as the table of docs/recipes.md. */
import type { Metrics } from '../../src/index.ts';

export interface RateRow {
  readonly recipe: string;
  readonly learning_rate: number;
  /** True at the rate that the recipe has. */
  readonly is_recipe: boolean;
  readonly steps: number;
  readonly seconds: number;
  /** On held-out rows. */
  readonly before: Metrics;
  readonly after: Metrics;
}

/** Markdown; the rate of a recipe is in bold, what a method does not have is empty. */
export function loraTable(rows: readonly RateRow[]): string {
  const lines = rows.map(({ recipe, learning_rate, is_recipe, before, after }) => {
    const change = (name: string, digits: number) => {
      const [from, to] = [before[name], after[name]].map((value) => value?.toFixed(digits));
      return to === undefined ? '' : from === to ? to : `${from} → ${to}`;
    };
    const rate = learning_rate.toExponential();
    return [
      recipe.replace('-lora', ''),
      is_recipe ? `**${rate}**` : rate,
      change('eval_loss', 4),
      change('eval_rewards/margins', 5),
    ];
  });
  const head = ['recipe', 'rate', 'held-out loss', 'margin'];
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
