/** Figures and tables of `prefgrad analyze`, drawn from its JSON by the code that drew its files. */
import type { Figure, Result, Table } from '../../src/analyze/figure.ts';
import { plotOptions } from '../../src/analyze/plot-options.ts';
import { PAGE_THEME } from '../../src/analyze/theme.ts';
import { h } from './dom.ts';
import { figure } from './figure.ts';

const SIZE = { width: 480, height: 300 };

export function analysis(result: Result): HTMLElement {
  return result.kind === 'table' ? table(result) : drawn(result);
}

function drawn(result: Figure): HTMLElement {
  const made = figure(result.title, 'analysis', (plot) => plotOptions(result, plot, PAGE_THEME, SIZE));
  made.append(h('p', { class: 'quiet' }, `${result.caption} From ${result.source.join(', ')}.`));
  return made;
}

function table({ title, caption, columns, rows, source }: Table): HTMLElement {
  const cells = (tag: 'th' | 'td', row: readonly (string | number | null)[]) =>
    h('tr', {}, ...row.map((cell) => h(tag, {}, cell === null ? '–' : String(cell))));
  return h(
    'figure',
    { class: 'chart wide-table', 'data-testid': 'analysis' },
    h('figcaption', {}, title),
    h(
      'table',
      {},
      h('thead', {}, cells('th', columns)),
      h('tbody', {}, ...rows.map((row) => cells('td', row))),
    ),
    h('p', { class: 'quiet' }, `${caption} From ${source.join(', ')}.`),
  );
}
