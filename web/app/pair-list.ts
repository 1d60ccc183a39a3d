/** All pairs, sortable, with what is known of each. Only the visible rows are elements. */
import type { PairStatistics, PairText } from '../worker/protocol.ts';
import { choice, fill, h } from './dom.ts';
import { term } from './terms.ts';
import { number } from './views.ts';

type Order = 'index' | 'margin' | 'margin-rising' | 'K' | 'flipped';

const ORDERS: readonly (readonly [Order, string])[] = [
  ['index', 'as in the data'],
  ['margin', 'largest margin'],
  ['margin-rising', 'smallest margin'],
  ['K', 'largest K of the reference'],
  ['flipped', 'flipped first'],
];

/** Height of a row in pixels, as in style.css. */
const ROW = 58;
const SPARE = 6;

export interface PairListOptions {
  open(index: number): void;
}

export class PairList {
  readonly element: HTMLElement;
  readonly #list = h('div', { class: 'rows', role: 'listbox', 'aria-label': 'pairs', tabindex: 0 });
  readonly #space = h('div', { class: 'space' });
  readonly #head = h('p', { class: 'quiet', 'data-testid': 'rows-origin' });
  readonly #progress = h('p', { class: 'quiet', 'data-testid': 'counted', 'aria-live': 'polite' });
  readonly #open: (index: number) => void;
  #pairs: readonly PairText[] = [];
  #known = new Map<number, PairStatistics>();
  #order: Order = 'index';
  #sorted: number[] = [];
  #current = 0;
  /** Characters that all prompts begin with: what is shown begins where they differ. */
  #common = 0;

  constructor({ open }: PairListOptions) {
    this.#open = open;
    this.#list.append(this.#space);
    this.#list.addEventListener('scroll', () => this.#render());
    this.#list.addEventListener('keydown', (event) => this.#key(event));
    new ResizeObserver(() => this.#render()).observe(this.#list);
    this.element = h(
      'nav',
      { class: 'pairs', 'aria-label': 'Pairs' },
      this.#head,
      choice('order', 'order', ORDERS, this.#order, (order) => {
        this.#order = order as Order;
        this.#sort();
      }),
      h('p', { class: 'quiet list-unit' }, term('log-ratio margin'), ', nats'),
      this.#progress,
      this.#list,
    );
  }

  /** New rows, or new numbers of them. */
  show(
    rows: { readonly name: string; readonly origin: string; readonly pairs: readonly PairText[] },
    statistics: readonly PairStatistics[],
    progress: string,
  ): void {
    const isNew = rows.pairs !== this.#pairs;
    this.#pairs = rows.pairs;
    if (isNew) this.#common = commonBeginning(rows.pairs.map(({ prompt }) => prompt));
    this.#known = new Map(statistics.map((row) => [row.index, row]));
    fill(this.#head, `${rows.pairs.length} pairs, ${rows.name} (${rows.origin})`);
    fill(this.#progress, progress);
    if (isNew) this.#list.scrollTop = 0;
    this.#sort();
  }

  select(index: number): void {
    this.#current = index;
    const at = this.#sorted.indexOf(index);
    const { scrollTop, clientHeight } = this.#list;
    if (at * ROW < scrollTop || (at + 1) * ROW > scrollTop + clientHeight)
      this.#list.scrollTop = Math.max(0, at * ROW - clientHeight / 3);
    this.#render();
  }

  /** The pair `step` places after the current one in the order that is shown. */
  neighbour(step: number): number {
    const at = this.#sorted.indexOf(this.#current) + step;
    return this.#sorted[Math.max(0, Math.min(this.#sorted.length - 1, at))] ?? 0;
  }

  #sort(): void {
    const value = (index: number): number => {
      const row = this.#known.get(index);
      if (this.#order === 'index' || row === undefined) return index;
      if (this.#order === 'flipped') return (row.flipped ? -1e6 : 0) + index;
      if (this.#order === 'margin-rising') return row.margin;
      return -row[this.#order];
    };
    this.#sorted = [...this.#pairs.keys()].sort((a, b) => value(a) - value(b));
    this.#space.style.height = `${ROW * this.#sorted.length}px`;
    this.#render();
  }

  #render(): void {
    const { scrollTop, clientHeight } = this.#list;
    const first = Math.max(0, Math.floor(scrollTop / ROW) - SPARE);
    const last = Math.min(this.#sorted.length, Math.ceil((scrollTop + clientHeight) / ROW) + SPARE);
    const widest = Math.max(1e-9, ...[...this.#known.values()].map(({ margin }) => Math.abs(margin)));
    fill(
      this.#space,
      ...this.#sorted.slice(first, last).map((index, i) => {
        const row = this.#row(index, widest);
        row.style.top = `${(first + i) * ROW}px`;
        return row;
      }),
    );
  }

  #row(index: number, widest: number): HTMLElement {
    const known = this.#known.get(index);
    const bar = h('span', { class: 'bar', 'aria-hidden': 'true' });
    const filled = h('span', { class: known !== undefined && known.margin < 0 ? 'below' : 'above' });
    filled.style.width = `${(50 * Math.abs(known?.margin ?? 0)) / widest}%`;
    bar.append(filled);
    const isCurrent = index === this.#current;
    const row = h(
      'div',
      {
        class: 'row',
        role: 'option',
        'data-testid': 'pair-row',
        'data-index': index,
        'aria-selected': isCurrent ? 'true' : 'false',
        'aria-current': isCurrent ? 'true' : undefined,
      },
      h('span', { class: 'row-text' }, `${index + 1}  `, h('bdi', {}, this.#beginning(index))),
      h(
        'span',
        { class: 'row-numbers' },
        bar,
        h(
          'span',
          { class: 'number', 'data-testid': 'row-margin' },
          known === undefined ? '' : number(known.margin),
        ),
        ...(known?.flipped ? [h('span', { class: 'badge' }, 'flipped')] : []),
      ),
    );
    row.addEventListener('click', () => this.#open(index));
    return row;
  }

  #beginning(index: number): string {
    const { prompt } = this.#pairs[index];
    const start = this.#pairs.length < 2 ? 0 : prompt.lastIndexOf(' ', this.#common) + 1;
    return `${start > 0 ? '… ' : ''}${prompt.slice(start).trim().slice(0, 90)}`;
  }

  #key(event: KeyboardEvent): void {
    const steps: Readonly<Record<string, number>> = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 };
    const step = event.key === 'Home' ? -1e9 : event.key === 'End' ? 1e9 : steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    this.#open(this.neighbour(step));
  }
}

/** Length of the beginning that all texts share. */
function commonBeginning(texts: readonly string[]): number {
  const [first = ''] = texts;
  return texts.reduce((length, text) => {
    let same = 0;
    while (same < length && text[same] === first[same]) same++;
    return same;
  }, first.length);
}
