/** Both answers as prose: tokens coloured by a quantity, words whole, what differs marked by a line below. */
import type { ScoredPair, ScoredSide } from '../worker/protocol.ts';
import { h } from './dom.ts';
import { align, codeMask, colourClass, number, sharedBeginning, sum, type View, visible } from './views.ts';

export type Side = 'chosen' | 'rejected';

export interface AnswersOptions {
  readonly view: View;
  /** Half the width of the colour scale, the same in all panes. */
  readonly scale: number;
  readonly marks: boolean;
  /** Values per side; undefined where this pair has none. */
  readonly values: Readonly<Record<Side, readonly number[] | undefined>>;
  /** The token that the inspector shows. */
  readonly selected: { readonly side: Side; readonly index: number } | undefined;
  onToken(side: Side, index: number): void;
  onTap(): void;
}

/** A shared beginning of so many tokens is folded away when it is long. */
const FOLDED_FROM = 40;
const SIDES: readonly Side[] = ['chosen', 'rejected'];

export function answers(pair: ScoredPair, options: AnswersOptions): HTMLElement {
  const shared = sharedBeginning(pair);
  const addsUp = options.view === 'contribution' || options.view === 'reward';
  const stretches = align(pair.chosen.diff.slice(shared), pair.rejected.diff.slice(shared));
  return h(
    'div',
    { class: 'answers' },
    ...SIDES.map((side) => {
      const { texts = pair[side].tokens } = pair[side];
      const isCode = codeMask(texts);
      const tokens = (start: number, end: number) => tokensOf(pair[side], side, start, end, isCode, options);
      const body = h('div', { class: 'prose', dir: 'auto' });
      if (shared > 0)
        body.append(
          sharedPart(pair[side], shared, tokens(0, shared), addsUp ? options.values[side] : undefined),
        );
      for (const stretch of stretches) {
        const [start, end] = stretch[side].map((at) => at + shared);
        body.append(
          stretch.varied
            ? h('span', { class: 'varied' }, ...tokens(start, end))
            : fragment(tokens(start, end)),
        );
      }
      body.append(...cutOff(side, pair[side].cut));
      return h(
        'section',
        { class: `answer ${side}`, 'aria-label': `${side} answer` },
        h('h3', {}, side),
        body,
      );
    }),
  );
}

function fragment(nodes: readonly Node[]): DocumentFragment {
  const made = document.createDocumentFragment();
  made.append(...nodes);
  return made;
}

function sharedPart(
  side: ScoredSide,
  length: number,
  tokens: readonly HTMLElement[],
  values: readonly number[] | undefined,
): HTMLElement {
  if (length < FOLDED_FROM) return h('span', { class: 'shared' }, ...tokens);
  const credit = values === undefined ? '' : `, ${number(sum(values.slice(0, length)))} together`;
  const words = side.tokens
    .slice(0, 8)
    .join('')
    .trim()
    .replace(/\s\S*$/, '');
  return h(
    'details',
    { class: 'shared', open: true },
    h('summary', {}, `${words} … ${length} tokens that both answers share${credit}`),
    ...tokens,
  );
}

function tokensOf(
  side: ScoredSide,
  name: Side,
  start: number,
  end: number,
  isCode: readonly boolean[],
  { view, scale, marks, values, selected, onToken, onTap }: AnswersOptions,
): HTMLElement[] {
  return side.token_ids.slice(start, end).map((id, k) => {
    const index = start + k;
    const value = values[name]?.[index];
    const text = side.tokens[index];
    const prose = side.texts?.[index] ?? text;
    const isSelected = selected?.side === name && selected.index === index;
    const token = h(
      'span',
      {
        class: `token ${value === undefined ? 'z0' : colourClass(view, value, scale)}${isCode[index] ? ' code' : ''}`,
        // A special token such as </s> is no word of the text around it, which may run from right to left.
        dir: /^<.+>$/.test(prose) ? 'ltr' : undefined,
        role: 'button',
        tabindex: isSelected ? 0 : -1,
        'aria-pressed': isSelected ? 'true' : undefined,
        'data-testid': 'token',
        'data-side': name,
        'data-index': index,
        'data-id': id,
        'data-value': value,
        'aria-label': `${text.trim() === '' ? visible(text) : text}, ${number(value)}`,
      },
      marks ? visible(prose) : prose,
    );
    token.addEventListener('pointerenter', (event) => {
      if (event.pointerType === 'mouse') onToken(name, index);
    });
    token.addEventListener('click', () => {
      onToken(name, index);
      onTap();
    });
    token.addEventListener('focus', () => onToken(name, index));
    return token;
  });
}

/** What did not fit into the model's positions: no part of any sum. */
function cutOff(side: Side, tokens: readonly string[]): HTMLElement[] {
  if (tokens.length === 0) return [];
  const label = `${tokens.length} tokens cut off: the model has no positions for them`;
  return [
    h('s', { class: 'cut', 'data-testid': 'cut-off', 'data-side': side, title: label }, tokens.join('')),
    h('span', { class: 'quiet' }, ` ${label}`),
  ];
}
