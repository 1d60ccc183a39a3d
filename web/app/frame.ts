/** The page around what changes: header, pairs on the left, answers in the middle, tools on the right. */
import { button, fill, h } from './dom.ts';
import type { State } from './state.ts';
import { story } from './story.ts';

export interface FrameParts {
  readonly app: HTMLElement;
  readonly progress: HTMLElement;
  readonly source: HTMLElement;
  readonly adapter: HTMLElement;
  readonly error: HTMLElement;
  readonly list: HTMLElement;
  readonly stage: HTMLElement;
  readonly tabs: HTMLElement;
  readonly tool: HTMLElement;
  readonly keys: HTMLDialogElement;
  set(change: Partial<State>): void;
}

export function frame(root: Element, parts: FrameParts): void {
  const { app, progress, source, adapter, error, list, stage, tabs, tool, keys, set } = parts;
  const help = button('?', { class: 'plain', 'aria-label': 'keys', 'data-testid': 'help' }, () =>
    keys.showModal(),
  );
  // Only a phone has the tools in a sheet.
  const closeSheet = button('Close', { class: 'sheet-close', 'data-testid': 'sheet-close' }, () => {
    delete app.dataset.sheet;
  });
  fill(
    app,
    h('a', { class: 'skip', href: '#stage' }, 'Skip to the answers'),
    h(
      'header',
      {},
      h('h1', {}, 'prefgrad'),
      h('p', {}, 'where a preference method puts its reward, token by token'),
      h('div', { class: 'badges' }, progress, source, adapter, help),
    ),
    error,
    h(
      'main',
      {},
      list,
      h('div', { class: 'middle', id: 'stage' }, story(set), stage),
      h('aside', { class: 'side', 'aria-label': 'Tools' }, tabs, tool, closeSheet),
    ),
  );
  fill(root, app, keys);
}
