/** One pane: what is looked at and by which method, its margin, and both answers. */
import type { MethodChoice, MethodSummary, ScoredPair } from '../worker/protocol.ts';
import { type AnswersOptions, answers } from './answers.ts';
import { FIRST_METHOD } from './content.ts';
import { button, choice, h } from './dom.ts';
import { type Entry, type Library, type RunEntry, runOf } from './library.ts';
import { settingField } from './settings.ts';
import type { Pane } from './state.ts';
import { term } from './terms.ts';
import { number, sum, unweightedMargin } from './views.ts';

export interface PaneOptions extends Omit<AnswersOptions, 'values'> {
  /** Its place among the panes, from 0. */
  readonly place: number;
  readonly pane: Pane;
  readonly entry: Entry | undefined;
  readonly library: Library;
  readonly methods: readonly MethodSummary[];
  /** undefined while the engine computes them. */
  readonly scored: ScoredPair | undefined;
  readonly values: AnswersOptions['values'];
  readonly effective: MethodChoice;
  /** Largest |margin| of all panes, for the bars. */
  readonly widest: number;
  /** Did the engine compute this just now? */
  readonly live: boolean;
  change(pane: Pane): void;
  /** undefined where it is the only one. */
  readonly remove: (() => void) | undefined;
}

export function paneView(options: PaneOptions): HTMLElement {
  const { scored, entry, place } = options;
  const name = entry?.name ?? options.pane.source;
  return h(
    'section',
    { class: `pane hue${place + 1}`, 'data-testid': 'pane', 'aria-label': `Pair under ${name}` },
    header(options),
    ...(scored === undefined
      ? [h('div', { class: 'skeleton', role: 'status' }, 'The engine computes this pair …')]
      : [marginOf(scored, options), answers(scored, options)]),
  );
}

function header(options: PaneOptions): HTMLElement {
  const { pane, entry, library, place, remove, change } = options;
  const run = runOf(library, entry);
  return h(
    'div',
    { class: 'pane-head' },
    choice(
      place === 0 ? 'model' : `model ${place + 1}`,
      `pane-source-${place}`,
      library.entries.map(({ id, name }) => [id, name]),
      pane.source,
      (source) => change({ ...pane, source, method: undefined }),
    ),
    ...(entry?.kind === 'scores' ? [] : modelControls(options)),
    ...(run === undefined || run.models.length < 2 ? [] : [checkpoints(run, options)]),
    h('span', { class: 'quiet origin' }, entry?.origin ?? 'not there'),
    ...(remove === undefined
      ? []
      : [button('×', { 'aria-label': `close pane ${place + 1}`, class: 'plain' }, remove)]),
  );
}

function modelControls({ pane, effective, library, methods, place, change }: PaneOptions): HTMLElement[] {
  const references = library.models.map(({ id, name }): [string, string] => [id, name]);
  const summary = methods.find(({ name }) => name === effective.name);
  const named = methods
    .filter(({ rows }) => rows !== 'chosen')
    .map(({ name }): [string, string] => [name, name]);
  // The menu is narrow, and β stands beside it.
  const { name, bmc: weights } = effective;
  const own =
    pane.method === undefined ? `as trained: ${name}${weights === undefined ? '' : ' + BMC'}` : 'as trained';
  const set = (method: MethodChoice) => change({ ...pane, method });
  const bmc = h('input', { type: 'checkbox', checked: effective.bmc !== undefined, 'data-testid': 'bmc' });
  bmc.addEventListener('change', () => {
    const { bmc: _, ...plain } = effective;
    set(bmc.checked ? { ...plain, bmc: {} } : plain);
  });
  const values: Record<string, unknown> = { ...effective.settings };
  const fields = h(
    'div',
    { class: 'settings' },
    ...(summary?.settings ?? []).map((setting) => settingField(setting, values)),
  );
  fields.addEventListener('change', () => set({ ...effective, settings: { ...values } }));
  const beta = effective.settings.beta ?? effective.settings.tau;
  return [
    choice('against', `pane-reference-${place}`, references, pane.reference, (reference) =>
      change({ ...pane, reference }),
    ),
    choice('method', 'method', [['own', own], ...named], pane.method?.name ?? 'own', (name) =>
      change({ ...pane, method: name === 'own' ? undefined : { name, settings: startOf(name) } }),
    ),
    h(
      'details',
      { class: 'method-settings' },
      h('summary', {}, beta === undefined ? 'settings' : `β ${beta}`),
      fields,
      h('label', { class: 'toggle', hidden: !summary?.takesBmc }, bmc, 'BMC token weights'),
    ),
  ];
}

/** The settings that a method starts with: its defaults, or those of the shipped models where it is theirs. */
function startOf(name: string): MethodChoice['settings'] {
  return name === FIRST_METHOD.name ? FIRST_METHOD.settings : {};
}

function checkpoints(run: RunEntry, { pane, change, place }: PaneOptions): HTMLElement {
  const at = Math.max(0, run.models.indexOf(pane.source));
  const input = h('input', {
    type: 'range',
    min: 0,
    max: run.models.length - 1,
    step: 1,
    value: at,
    'data-testid': `checkpoint-${place}`,
  });
  input.addEventListener('input', () => change({ ...pane, source: run.models[Number(input.value)] }));
  return h('label', { class: 'field' }, h('span', {}, 'checkpoint'), input);
}

/** The margin, large, with its bar; and what it is made of. */
function marginOf(scored: ScoredPair, { entry, effective, widest, live }: PaneOptions): HTMLElement {
  const margin = scored.margin;
  const plain = unweightedMargin(scored);
  const isWeighted = scored.chosen.weights !== undefined && plain !== undefined;
  const what = entry?.kind === 'scores' ? 'as in the file' : methodText(effective);
  const bar = h('span', { class: 'bar', 'aria-hidden': 'true' });
  const fill = h('span', { class: margin !== undefined && margin < 0 ? 'below' : 'above' });
  fill.style.width = `${(50 * Math.abs(margin ?? 0)) / (widest || 1)}%`;
  bar.append(fill);
  const side = (name: 'chosen' | 'rejected') =>
    h(
      'span',
      { class: name },
      `${name} `,
      h('b', { 'data-testid': `sum-${name}` }, number(scored.sums?.[name])),
    );
  return h(
    'div',
    { class: 'margin-row' },
    h('div', { class: 'margin' }, h('b', { 'data-testid': 'margin' }, number(margin)), bar, term('margin')),
    h(
      'p',
      { class: 'sums' },
      side('chosen'),
      ' − ',
      side('rejected'),
      h('span', { class: 'quiet' }, ` rewards of ${what}, ${live ? 'computed here' : 'not computed here'}`),
    ),
    ...(isWeighted
      ? [
          h(
            'p',
            { class: 'quiet' },
            term('unweighted margin'),
            ` ${number(plain)}, mean λ ${number(meanWeight(scored))}`,
          ),
        ]
      : []),
  );
}

function meanWeight({ chosen, rejected }: ScoredPair): number {
  const weights = [...(chosen.weights ?? []), ...(rejected.weights ?? [])];
  return sum(weights) / weights.length;
}

export function methodText({ name, bmc, settings }: MethodChoice): string {
  const scale = settings.beta ?? settings.tau;
  return `${name}${bmc === undefined ? '' : ' with BMC weights'}${scale === undefined ? '' : `, β ${scale}`}`;
}
