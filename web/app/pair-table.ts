/** All pairs with their statistics, sortable; a row opens its pair. */
import type { PairStatistics, PairText } from '../worker/protocol.ts';
import { button, fill, h } from './dom.ts';
import { number } from './views.ts';

type Column = 'index' | 'margin' | 'K' | 'step' | 'flipped';

const HEADS: readonly (readonly [Column, string, string])[] = [
  ['index', '#', 'place in the data'],
  ['margin', 'margin', 'log-ratio margin under the policy'],
  ['K', 'K', "MIPO's K: the reference's difference of mean log-probs"],
  ['step', 'epsilon step', "epsilon-DPO's step of beta: 1 lowers it, -1 raises it"],
  ['flipped', 'flipped', 'the policy ranks the answers otherwise than the reference does'],
];

export function pairTable(
  pairs: readonly PairText[],
  statistics: readonly PairStatistics[],
  current: number,
  open: (index: number) => void,
): HTMLElement {
  const known = new Map(statistics.map((row) => [row.index, row]));
  let sorted: Column = 'index';
  let isDescending = false;
  const table = h('table', {});
  const sortValue = (index: number, column: Column): number => {
    const row = known.get(index);
    return column === 'index' ? index : Number(row?.[column] ?? Number.NEGATIVE_INFINITY);
  };
  const render = () => {
    const order = [...pairs.keys()].sort((a, b) => {
      const difference = sortValue(a, sorted) - sortValue(b, sorted);
      return isDescending ? -difference : difference;
    });
    const head = h(
      'tr',
      {},
      ...HEADS.map(([column, text, title]) =>
        h(
          'th',
          {
            scope: 'col',
            'aria-sort': column === sorted ? (isDescending ? 'descending' : 'ascending') : 'none',
          },
          button(text, { title, 'data-testid': `sort-${column}` }, () => {
            isDescending = column === sorted ? !isDescending : column !== 'index';
            sorted = column;
            render();
          }),
        ),
      ),
      h('th', { scope: 'col' }, 'prompt'),
    );
    fill(
      table,
      h('thead', {}, head),
      h(
        'tbody',
        {},
        ...order.map((index) => rowOf(index, known.get(index), pairs[index], index === current, open)),
      ),
    );
  };
  render();
  return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Pairs' }, table);
}

function rowOf(
  index: number,
  row: PairStatistics | undefined,
  pair: PairText,
  isCurrent: boolean,
  open: (index: number) => void,
): HTMLElement {
  const element = h(
    'tr',
    { 'data-testid': 'pair-row', 'data-index': index, 'aria-current': isCurrent ? 'true' : undefined },
    h(
      'td',
      {},
      button(String(index + 1), { 'aria-label': `open pair ${index + 1}` }, () => open(index)),
    ),
    h('td', {}, number(row?.margin)),
    h('td', {}, number(row?.K)),
    h('td', {}, row === undefined ? '–' : String(row.step)),
    h('td', {}, row === undefined ? '–' : row.flipped ? 'yes' : 'no'),
    h('td', { class: 'text' }, pair.prompt),
  );
  element.addEventListener('click', () => open(index));
  return element;
}
