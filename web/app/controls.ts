/** The row of controls: which pair, which quantity, which method and models, and what to take away. */
import type { MethodSummary } from '../worker/protocol.ts';
import { MODEL_NAMES, SHIPPED_MODELS } from './content.ts';
import { button, choice, h } from './dom.ts';
import { asJson, asPng, asSvg, download, type ExportedView } from './export.ts';
import type { State } from './state.ts';
import { VIEWS } from './views.ts';

/** Models beside each other at most. */
const MOST_MODELS = 3;

export interface ControlsOptions {
  readonly state: State;
  /** Pairs there are. */
  readonly pairs: number;
  readonly methods: readonly MethodSummary[];
  /** Model slots that the engine has. */
  readonly loaded: readonly string[];
  set(change: Partial<State>): void;
  /** What is on the screen, for export. */
  view(): ExportedView;
}

export function controls({ state, pairs, methods, loaded, set, view }: ControlsOptions): HTMLElement[] {
  const go = (step: number) => set({ pair: (state.pair + step + pairs) % pairs, edited: undefined });
  const slots = [...new Set([...SHIPPED_MODELS, ...loaded, ...state.models])].filter(
    (s) => s !== 'reference',
  );
  const named = methods.filter((m) => m.rows !== 'chosen').map(({ name }): [string, string] => [name, name]);
  return [
    h(
      'div',
      { class: 'field' },
      h('span', {}, 'pair'),
      h(
        'span',
        { class: 'stepper' },
        button('‹', { 'aria-label': 'previous pair' }, () => go(-1)),
        h(
          'output',
          { 'data-testid': 'pair' },
          state.edited === undefined ? `${state.pair + 1} of ${pairs}` : 'your text',
        ),
        button('›', { 'aria-label': 'next pair' }, () => go(1)),
      ),
    ),
    choice(
      'show',
      'view',
      VIEWS.map(([name, text]) => [name, text]),
      state.view,
      (chosen) => set({ view: VIEWS.find(([name]) => name === chosen)?.[0] ?? 'reward' }),
    ),
    choice('method', 'method', [['own', "the model's own"], ...named], state.method, (method) =>
      set({ method }),
    ),
    toggle('BMC weights', 'bmc', state.bmc, (bmc) => set({ bmc })),
    h(
      'fieldset',
      { class: 'field' },
      h('legend', {}, 'models'),
      ...slots.map((slot) =>
        toggle(MODEL_NAMES[slot] ?? slot, `model-${slot}`, state.models.includes(slot), (on) => {
          const models = on
            ? [...state.models, slot].slice(-MOST_MODELS)
            : state.models.filter((s) => s !== slot);
          if (models.length > 0) set({ models });
        }),
      ),
    ),
    h(
      'div',
      { class: 'field' },
      h('span', {}, 'export'),
      h(
        'span',
        { class: 'stepper' },
        button('JSON', { 'data-testid': 'export-json' }, () =>
          download('prefgrad-view.json', asJson(view())),
        ),
        button('SVG', { 'data-testid': 'export-svg' }, () =>
          download('prefgrad-view.svg', new Blob([asSvg(view())], { type: 'image/svg+xml' })),
        ),
        button('PNG', {}, () => void asPng(asSvg(view())).then((png) => download('prefgrad-view.png', png))),
      ),
    ),
  ];
}

function toggle(
  label: string,
  testid: string,
  isOn: boolean,
  onChange: (isOn: boolean) => void,
): HTMLElement {
  const box = h('input', { type: 'checkbox', checked: isOn, 'data-testid': testid });
  box.addEventListener('change', () => onChange(box.checked));
  return h('label', { class: 'toggle' }, box, label);
}
