/** Keys of the page, and the sheet that lists them. */
import { button, h } from './dom.ts';

export const KEYS: readonly (readonly [string, string])[] = [
  ['j, k', 'next and previous pair'],
  ['← →', 'next and previous token, when one has the focus'],
  ['↑ ↓', 'next and previous pair in the list; in a text, the same place in the other answer'],
  ['v', 'next quantity to colour by'],
  ['w', 'show or hide white space'],
  ['d', 'difference of two models'],
  ['1 … 6', 'token, charts, edit, train, playground, files'],
  ['?', 'this sheet'],
];

/** A modal sheet; Escape closes it. */
export function keySheet(): HTMLDialogElement {
  const sheet = h(
    'dialog',
    { class: 'sheet', 'aria-label': 'Keys', 'data-testid': 'key-sheet' },
    h('h2', {}, 'Keys'),
    h('dl', {}, ...KEYS.flatMap(([keys, text]) => [h('dt', {}, h('kbd', {}, keys)), h('dd', {}, text)])),
    button('Close', { class: 'primary' }, () => sheet.close()),
  );
  return sheet;
}

/** Moves the focus between the tokens around one that has it; a token that gets the focus becomes the tab stop. */
export function moveBetweenTokens(event: KeyboardEvent): boolean {
  const from = event.target;
  if (!(from instanceof HTMLElement) || from.dataset.testid !== 'token' || from.dataset.side === undefined)
    return false;
  const pane = from.closest('[data-testid=pane]');
  const of = (side: string) => [
    ...(pane?.querySelectorAll<HTMLElement>(`[data-testid=token][data-side=${side}]`) ?? []),
  ];
  const own = of(from.dataset.side);
  const at = own.indexOf(from);
  const other = of(from.dataset.side === 'chosen' ? 'rejected' : 'chosen');
  const targets: Readonly<Record<string, HTMLElement | undefined>> = {
    ArrowRight: own[at + 1],
    ArrowLeft: own[at - 1],
    Home: own[0],
    End: own.at(-1),
    ArrowDown: other[Math.min(at, other.length - 1)],
    ArrowUp: other[Math.min(at, other.length - 1)],
  };
  if (!(event.key in targets)) return false;
  event.preventDefault();
  const to = targets[event.key];
  to?.closest('details')?.setAttribute('open', '');
  to?.focus();
  return true;
}
