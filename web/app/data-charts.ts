/** The charts tab: margins and surprise over the data, and where the models on the screen put their reward. */
import type { PairStatistics, ScoredPair } from '../worker/protocol.ts';
import { chart } from './charts.ts';
import { h } from './dom.ts';
import { histogram, meanByPosition } from './views.ts';

/** Positions that the span plot shows; spans are rarely longer. */
const SPAN_POSITIONS = 8;
const SIDES = ['chosen', 'rejected'] as const;

export function dataCharts(
  statistics: readonly PairStatistics[],
  models: readonly { readonly name: string; readonly scored: ScoredPair }[],
): HTMLElement {
  const overData = statistics.length > 1 ? [margins(statistics), surpriseInSpans(statistics)] : [];
  const byPosition = models.length > 0 ? SIDES.map((side) => contributions(side, models)) : [];
  const charts = [...overData, ...byPosition];
  if (charts.length === 0) charts.push(h('p', { class: 'quiet' }, 'The engine is still counting.'));
  return h('div', { class: 'charts' }, ...charts);
}

function margins(statistics: readonly PairStatistics[]): HTMLElement {
  const { x, counts } = histogram(
    statistics.map(({ margin }) => margin),
    20,
  );
  const series = [{ name: 'pairs', values: counts }];
  const how = { bars: true, testid: 'histogram' };
  return chart('log-ratio margins over the data', { name: 'margin', values: x }, series, how).element;
}

/** Mean -log p of varied tokens by their place in a span, over the data (BMC, Figure 2). */
function surpriseInSpans(statistics: readonly PairStatistics[]): HTMLElement {
  const x = {
    name: 'position in a span of varied tokens',
    values: Array.from({ length: SPAN_POSITIONS }, (_, i) => i + 1),
  };
  const series = SIDES.map((side) => {
    const lists = statistics.flatMap(({ spans }) => spans[side]);
    return { name: side, values: meanByPosition(lists, SPAN_POSITIONS) };
  });
  return chart('-log p by position in a span, over the data', x, series, { testid: 'spans' }).element;
}

function contributions(
  side: (typeof SIDES)[number],
  models: readonly { readonly name: string; readonly scored: ScoredPair }[],
): HTMLElement {
  const { length } = models[0].scored[side].token_ids;
  const x = { name: 'token', values: Array.from({ length }, (_, i) => i + 1) };
  const series = models.map(({ name, scored }) => ({ name, values: scored[side].contributions ?? [] }));
  return chart(`contribution by position, ${side}`, x, series).element;
}
