/** One model's view of a pair: prompt, both answers side by side, coloured tokens, and the sums they add up to. */
import type { ScoredPair, ScoredSide } from '../worker/protocol.ts';
import { h } from './dom.ts';
import { align, colourClass, number, placeOf, type View, valuesOf, visible } from './views.ts';

export interface TokenViewOptions {
  readonly title: string;
  readonly view: View;
  /** Half the width of the colour scale, shared by all panes. */
  readonly scale: number;
  /** What the contributions are of: 'dpo with BMC weights'. */
  readonly method: string;
  /** Told which token is looked at. */
  onToken(side: 'chosen' | 'rejected', index: number): void;
}

export function tokenView(pair: ScoredPair, options: TokenViewOptions): HTMLElement {
  const { title, method } = options;
  const stretches = align(pair.chosen.diff, pair.rejected.diff);
  const grid = h('div', { class: 'answers' });
  grid.append(h('h3', { class: 'chosen' }, 'chosen'), h('h3', { class: 'rejected' }, 'rejected'));
  for (const { varied, chosen, rejected } of stretches) {
    const cell = (side: 'chosen' | 'rejected', [start, end]: readonly [number, number]) =>
      h(
        'div',
        { class: `cell ${side}${varied ? ' varied' : ''}`, 'data-label': side },
        ...tokensOf(pair[side], side, start, end, options),
      );
    grid.append(cell('chosen', chosen), cell('rejected', rejected));
  }
  if (pair.chosen.cut.length + pair.rejected.cut.length > 0)
    grid.append(cutOff('chosen', pair.chosen.cut), cutOff('rejected', pair.rejected.cut));
  return h(
    'section',
    { class: 'model', 'aria-label': `Tokens under ${title}` },
    h('h2', {}, title),
    h(
      'p',
      { class: 'prompt', 'aria-label': 'prompt' },
      ...pair.prompt.token_ids.map((id, i) =>
        h(
          'span',
          { class: 'token z0', 'data-testid': 'token', 'data-side': 'prompt', 'data-id': id },
          visible(pair.prompt.tokens[i]),
        ),
      ),
    ),
    grid,
    h(
      'p',
      { class: 'sums' },
      h('span', {}, 'chosen ', h('b', { 'data-testid': 'sum-chosen' }, number(pair.sums?.chosen))),
      h('span', {}, 'rejected ', h('b', { 'data-testid': 'sum-rejected' }, number(pair.sums?.rejected))),
      h('span', {}, 'margin ', h('b', { 'data-testid': 'margin' }, number(pair.margin))),
      h('span', { class: 'quiet' }, `sums of the contributions: the rewards that ${method} logs`),
    ),
  );
}

function tokensOf(
  side: ScoredSide,
  name: 'chosen' | 'rejected',
  start: number,
  end: number,
  { view, scale, onToken }: TokenViewOptions,
): HTMLElement[] {
  const values = valuesOf(side, view);
  return side.token_ids.slice(start, end).map((id, k) => {
    const index = start + k;
    const value = values?.[index];
    const colour = value === undefined ? 'z0' : colourClass(placeOf(value, scale));
    const text = side.tokens[index];
    const token = h(
      'span',
      {
        class: `token ${colour}${side.diff[index] === 1 ? ' differs' : ''}`,
        tabindex: 0,
        'data-testid': 'token',
        'data-side': name,
        'data-id': id,
        'data-value': value,
        'aria-label': `${text.trim() === '' ? visible(text) : text}, ${number(value)}`,
      },
      visible(text),
    );
    token.addEventListener('pointerenter', () => onToken(name, index));
    token.addEventListener('focus', () => onToken(name, index));
    return token;
  });
}

/** What did not fit into the model's positions: no part of any sum. */
function cutOff(side: 'chosen' | 'rejected', tokens: readonly string[]): HTMLElement {
  const text = tokens.map(visible).join('');
  const label = `${tokens.length} tokens cut off: the model has no positions for them`;
  return h(
    'div',
    { class: `cell ${side}`, 'data-label': side },
    ...(tokens.length === 0
      ? []
      : [
          h('s', { class: 'cut', 'data-testid': 'cut-off', 'data-side': side, title: label }, text),
          h('span', { class: 'quiet' }, ` ${label}`),
        ]),
  );
}

/** Everything that is known of one token, as a definition list. */
export function tokenDetails(pair: ScoredPair, side: 'chosen' | 'rejected', index: number): HTMLElement {
  const own = pair[side];
  const contribution = own.contributions?.[index];
  const signed = contribution === undefined ? undefined : side === 'chosen' ? contribution : -contribution;
  const share = signed === undefined || !pair.margin ? undefined : signed / pair.margin;
  const rows: [string, string][] = [
    ['token', `${visible(own.tokens[index])}  (id ${own.token_ids[index]}, ${side} ${index + 1})`],
    ['p policy', percent(own.logps[index], own.ranks?.[index])],
    ['p reference', percent(own.ref_logps?.[index], own.ref_ranks?.[index])],
    ['reward', number(own.rewards?.[index])],
    ['lambda', number(own.weights?.[index])],
    ['contribution', number(contribution)],
    ['share of margin', share === undefined ? '–' : `${(100 * share).toFixed(1)}%`],
    ['entropy, KL', `${number(own.entropy?.[index])}, ${number(own.kl?.[index])}`],
  ];
  const words = (title: string, top: NonNullable<ScoredSide['top']>[number] | undefined) =>
    top === undefined
      ? []
      : [
          h('dt', {}, title),
          h(
            'dd',
            {},
            top
              .map(({ token, logp }) => `${visible(token)} ${(100 * Math.exp(logp)).toFixed(1)}%`)
              .join('   '),
          ),
        ];
  return h(
    'dl',
    { class: 'details' },
    ...rows.flatMap(([name, text]) => [h('dt', {}, name), h('dd', {}, text)]),
    ...words('policy top 5', own.top?.[index]),
    ...words('reference top 5', own.ref_top?.[index]),
  );
}

function percent(logp: number | undefined, rank: number | undefined): string {
  if (logp === undefined) return '–';
  const p = 100 * Math.exp(logp);
  return `${p < 0.01 ? p.toExponential(1) : p.toFixed(2)}%${rank === undefined ? '' : `, rank ${rank + 1}`}`;
}
