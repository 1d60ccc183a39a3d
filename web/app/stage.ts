/** The middle of the page: one prompt, then a pane for every model that is looked at, or their difference. */
import type { MethodChoice, MethodSummary, PairText, ScoredPair } from '../worker/protocol.ts';
import { answers, type Side } from './answers.ts';
import { SHIPPED_MODELS } from './content.ts';
import { button, choice, h } from './dom.ts';
import { asJson, asPng, asSvg, download, type ExportedView } from './export.ts';
import { legend } from './legend.ts';
import type { Entry, Library } from './library.ts';
import { methodText, paneView } from './pane.ts';
import { MOST_PANES, type Pane, paneOf, type State } from './state.ts';
import { differenceOf, scaleOf, VIEWS, valuesOf } from './views.ts';

/** A token of a pane. */
export interface Selected {
  readonly pane: number;
  readonly side: Side;
  readonly index: number;
}

export interface ShownPane {
  readonly pane: Pane;
  readonly entry: Entry | undefined;
  readonly effective: MethodChoice;
  readonly scored?: ScoredPair;
  readonly live: boolean;
  readonly problem?: string;
}

export interface StageOptions {
  readonly state: State;
  readonly text: PairText;
  readonly rows: Library['rows'];
  readonly shown: readonly ShownPane[];
  readonly library: Library;
  readonly methods: readonly MethodSummary[];
  readonly selected: Selected | undefined;
  set(change: Partial<State>): void;
  onToken(selected: Selected): void;
  /** A token was clicked or tapped. */
  onTap(): void;
}

export function stage(options: StageOptions): HTMLElement[] {
  const { state, shown } = options;
  const scored = shown.flatMap((one) => one.scored ?? []);
  const isKnown = scored.some(({ chosen }) => valuesOf(chosen, state.view) !== undefined);
  const isDifference = state.difference && scored.length > 1;
  const scale = isDifference ? differenceScale(scored, state) : scaleOf(scored, state.view);
  return [
    toolbar(options, scale),
    legend(state.view, scale, isKnown, isDifference),
    prompt(options),
    ...(isDifference ? [differencePane(options, scale)] : [...paneSwitch(options), ...panes(options, scale)]),
  ];
}

function toolbar({ state, shown, rows, set }: StageOptions, scale: number): HTMLElement {
  const toggle = (label: string, testid: string, isOn: boolean, change: Partial<State>, title: string) =>
    button(label, { 'aria-pressed': isOn ? 'true' : 'false', 'data-testid': testid, title }, () =>
      set(change),
    );
  const view = (): ExportedView => ({
    view: state.view,
    scale,
    models: shown.flatMap(({ pane, entry, effective, scored }) =>
      scored === undefined
        ? []
        : [{ model: entry?.name ?? pane.source, method: methodText(effective), scored }],
    ),
  });
  return h(
    'div',
    { class: 'toolbar' },
    h(
      'output',
      { 'data-testid': 'pair', class: 'pair-number' },
      state.edited === undefined ? `${state.pair + 1} of ${rows.pairs.length}` : 'your text',
    ),
    choice(
      'colour by',
      'view',
      VIEWS.map(([name, text]) => [name, text]),
      state.view,
      (chosen) => set({ view: VIEWS.find(([name]) => name === chosen)?.[0] ?? 'contribution' }),
    ),
    toggle('white space', 'marks', state.marks, { marks: !state.marks }, 'show white space as marks (w)'),
    ...(shown.length > 1
      ? [
          toggle(
            'difference',
            'difference',
            state.difference,
            { difference: !state.difference },
            'first model minus second (d)',
          ),
        ]
      : []),
    ...(shown.length < MOST_PANES
      ? [
          button('Add a model', { 'data-testid': 'add-pane' }, () => {
            const used = shown.map(({ pane }) => pane.source);
            const next = [...SHIPPED_MODELS, 'reference'].find((id) => !used.includes(id)) ?? used[0];
            set({ panes: [...state.panes, paneOf(next)], front: state.panes.length });
          }),
        ]
      : []),
    h(
      'details',
      { class: 'export' },
      h('summary', {}, 'Export'),
      button('JSON', { 'data-testid': 'export-json' }, () => download('prefgrad-view.json', asJson(view()))),
      button('SVG', { 'data-testid': 'export-svg' }, () =>
        download('prefgrad-view.svg', new Blob([asSvg(view())], { type: 'image/svg+xml' })),
      ),
      button('PNG', {}, () => void asPng(asSvg(view())).then((png) => download('prefgrad-view.png', png))),
    ),
  );
}

/** The prompt once, however many models there are. */
function prompt({ text, shown, state }: StageOptions): HTMLElement {
  const scored = shown.find((one) => one.scored !== undefined)?.scored;
  const known = text.prompt === '' ? (scored?.prompt.tokens.join('') ?? '') : text.prompt;
  const ids = scored?.prompt.token_ids.length ?? 0;
  const words =
    known === '' && ids > 0 ? `${ids} tokens, of which this score file keeps only the ids` : known;
  return h(
    'section',
    { class: 'prompt', 'aria-label': 'prompt' },
    h('h3', {}, 'prompt'),
    h(
      'p',
      { class: 'prose', dir: 'auto', 'data-testid': 'prompt' },
      state.marks ? words.replaceAll(' ', '·') : words,
    ),
  );
}

function frontOf({ front, panes }: State): number {
  return front < panes.length ? front : 0;
}

/** Where there is room for one model only, the choice between them. */
function paneSwitch({ state, shown, set }: StageOptions): HTMLElement[] {
  if (shown.length < 2) return [];
  const buttons = shown.map(({ entry, pane }, place) =>
    button(
      entry?.name ?? pane.source,
      {
        'aria-pressed': place === frontOf(state) ? 'true' : 'false',
        'data-testid': `front-${place}`,
      },
      () => set({ front: place }),
    ),
  );
  return [h('div', { class: 'pane-switch', role: 'group', 'aria-label': 'Model that is shown' }, ...buttons)];
}

function panes(
  { state, shown, library, methods, selected, set, onToken, onTap }: StageOptions,
  scale: number,
): HTMLElement[] {
  const widest = Math.max(...shown.map(({ scored }) => Math.abs(scored?.margin ?? 0)));
  return shown.map(({ pane, entry, effective, scored, live, problem }, place) => {
    const change = (next: Pane) => set({ panes: state.panes.map((old, i) => (i === place ? next : old)) });
    const view = paneView({
      place,
      pane,
      entry,
      library,
      methods,
      scored,
      effective,
      widest,
      live,
      view: state.view,
      scale,
      marks: state.marks,
      values: {
        chosen: scored && valuesOf(scored.chosen, state.view),
        rejected: scored && valuesOf(scored.rejected, state.view),
      },
      selected: selected?.pane === place ? selected : undefined,
      change,
      remove:
        shown.length === 1
          ? undefined
          : () => set({ panes: state.panes.filter((_, i) => i !== place), difference: false, front: 0 }),
      onToken: (side, index) => onToken({ pane: place, side, index }),
      onTap,
    });
    if (place !== frontOf(state)) view.classList.add('behind');
    if (problem !== undefined)
      view.replaceChildren(view.children[0], h('p', { class: 'error', role: 'alert' }, problem));
    return view;
  });
}

/** The first two panes as one, coloured by how they differ. */
function differencePane(
  { state, shown, selected, onToken, onTap }: StageOptions,
  scale: number,
): HTMLElement {
  const [a, b] = shown.flatMap(({ scored }) => scored ?? []);
  const of = (side: Side) => differenceOf(a[side], b[side], state.view);
  const [first, second] = shown.map(({ entry, pane }) => entry?.name ?? pane.source);
  const values = { chosen: of('chosen'), rejected: of('rejected') };
  if (values.chosen === undefined)
    return h(
      'p',
      { class: 'error' },
      `${first} and ${second} cut this text into different tokens, so they cannot be subtracted.`,
    );
  return h(
    'section',
    { class: 'pane', 'data-testid': 'pane', 'aria-label': `${first} minus ${second}` },
    h('h2', {}, `${first} minus ${second}`),
    answers(a, {
      view: 'contribution',
      scale,
      marks: state.marks,
      values,
      selected: selected?.pane === 0 ? selected : undefined,
      onToken: (side, index) => onToken({ pane: 0, side, index }),
      onTap,
    }),
  );
}

function differenceScale([a, b]: readonly ScoredPair[], { view }: State): number {
  const values = (['chosen', 'rejected'] as const)
    .flatMap((side) => differenceOf(a[side], b[side], view) ?? [])
    .map(Math.abs)
    .sort((x, y) => x - y);
  return values[Math.floor(0.95 * (values.length - 1))] || values.at(-1) || 1;
}
