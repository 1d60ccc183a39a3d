/** Everything that is known of one token. */
import type { ScoredPair, ScoredSide } from '../worker/protocol.ts';
import type { Side } from './answers.ts';
import { h } from './dom.ts';
import { type Term, term } from './terms.ts';
import { number, visible } from './views.ts';

export function inspector(title: string, pair: ScoredPair, side: Side, index: number): HTMLElement {
  const own = pair[side];
  const contribution = own.contributions?.[index];
  const credit = contribution === undefined ? undefined : side === 'chosen' ? contribution : -contribution;
  const share = credit === undefined || !pair.margin ? undefined : credit / pair.margin;
  const rows: readonly (readonly [Term | 'policy', string])[] = [
    ['policy', percent(own.logps[index], own.ranks?.[index])],
    ['reference', percent(own.ref_logps?.[index], own.ref_ranks?.[index])],
    ['reward', number(own.rewards?.[index])],
    ['lambda', number(own.weights?.[index])],
    ['contribution', number(contribution)],
    ['share of margin', share === undefined ? '–' : `${(100 * share).toFixed(1)}%`.replace('-', '−')],
    ['entropy', number(own.entropy?.[index])],
    ['KL', number(own.kl?.[index])],
  ];
  return h(
    'div',
    { class: 'inspector' },
    h(
      'p',
      { class: 'looked-at' },
      h('q', {}, visible(own.tokens[index])),
      h('span', { class: `badge ${side}` }, side),
    ),
    h(
      'p',
      { class: 'quiet' },
      `token ${index + 1} of ${own.token_ids.length}, id ${own.token_ids[index]}, under ${title}`,
    ),
    h(
      'dl',
      {},
      ...rows.flatMap(([name, text]) => [
        h(
          'dt',
          {},
          name === 'policy' ? 'p, policy' : name === 'reference' ? term(name, 'p, reference') : term(name),
        ),
        h('dd', {}, text),
      ]),
    ),
    ...candidates('most probable under the policy', own.top?.[index], own.token_ids[index]),
    ...candidates('under the reference', own.ref_top?.[index], own.token_ids[index]),
  );
}

function candidates(
  title: string,
  top: NonNullable<ScoredSide['top']>[number] | undefined,
  id: number,
): HTMLElement[] {
  if (top === undefined) return [];
  return [
    h('h4', {}, title),
    h(
      'ol',
      { class: 'candidates' },
      ...top.map((candidate) => {
        const p = 100 * Math.exp(candidate.logp);
        const bar = h('meter', { min: 0, max: 100, value: p, 'aria-hidden': 'true' });
        return h(
          'li',
          { class: candidate.id === id ? 'taken' : undefined },
          h('span', {}, visible(candidate.token)),
          bar,
          h('span', { class: 'number' }, `${p.toFixed(1)}%`),
        );
      }),
    ),
  ];
}

function percent(logp: number | undefined, rank: number | undefined): string {
  if (logp === undefined) return '–';
  const p = 100 * Math.exp(logp);
  return `${p < 0.01 ? p.toExponential(1) : p.toFixed(2)}%${rank === undefined ? '' : `, rank ${rank + 1}`}`;
}

/** The token that adds most to the margin, or takes most away. */
export function mostDecisive({ chosen, rejected }: ScoredPair): { side: Side; index: number } {
  const largest = (values: readonly number[] = []) =>
    values.reduce((best, value, i) => (Math.abs(value) > Math.abs(values[best]) ? i : best), 0);
  const [c, r] = [largest(chosen.contributions), largest(rejected.contributions)];
  const isChosen = Math.abs(chosen.contributions?.[c] ?? 0) >= Math.abs(rejected.contributions?.[r] ?? 0);
  return isChosen ? { side: 'chosen', index: c } : { side: 'rejected', index: r };
}
