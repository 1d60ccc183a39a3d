/** A first visit: three captions over the first pair, each of which sets the page to what it says. */
import { button, fill, h } from './dom.ts';
import type { State } from './state.ts';

const CAPTIONS: readonly (readonly [title: string, text: string, change: Partial<State>])[] = [
  [
    'Both answers begin alike: little credit',
    'Colours show what every token adds to the reward. Where the answers agree, the policy moved little away from its reference.',
    { view: 'contribution', tool: 'token' },
  ],
  [
    'DPO-BMC weighs what differs',
    'Underlined tokens stand in one answer only. The less the policy expected such a token, the more it counts: λ = 1 + min(1/p, δ).',
    { view: 'lambda', tool: 'token' },
  ],
  [
    'Train, and watch it move',
    'Press Train: a model in this tab learns from these pairs, and its colours join the ones you see.',
    { view: 'contribution', tool: 'train' },
  ],
];

const SEEN = 'prefgrad-story-seen';

/** @param set changes what the page shows */
export function story(set: (change: Partial<State>) => void): HTMLElement {
  const box = h('section', { class: 'story', 'aria-label': 'Introduction', hidden: isSeen() });
  const show = (at: number) => {
    const [title, text, change] = CAPTIONS[at];
    if (at > 0) set(change);
    const isLast = at === CAPTIONS.length - 1;
    fill(
      box,
      h('b', {}, title),
      h('span', {}, ` ${text} `),
      h('span', { class: 'quiet' }, `${at + 1} of ${CAPTIONS.length} `),
      button(isLast ? 'Done' : 'Next', { class: 'primary', 'data-testid': 'story-next' }, () =>
        isLast ? end() : show(at + 1),
      ),
      ...(isLast ? [] : [button('Skip', { class: 'plain' }, end)]),
    );
    // The button that was pressed is gone.
    if (at > 0) box.querySelector<HTMLElement>('button.primary')?.focus();
  };
  const end = () => {
    box.hidden = true;
    try {
      localStorage.setItem(SEEN, 'yes');
    } catch {
      // A browser that keeps nothing shows the story again.
    }
  };
  show(0);
  return box;
}

function isSeen(): boolean {
  try {
    return localStorage.getItem(SEEN) !== null;
  } catch {
    return true;
  }
}
