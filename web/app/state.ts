/** The state of the view: one object, one way to change it, and its place in the URL. */
import { FIRST_MODEL } from './content.ts';
import type { View } from './views.ts';
import { VIEWS } from './views.ts';

export const TABS = ['pairs', 'charts', 'edit', 'train', 'playground', 'files'] as const;
export type Tab = (typeof TABS)[number];

export interface State {
  /** Index into the pairs at hand. */
  readonly pair: number;
  /** Model slots side by side, one to three. */
  readonly models: readonly string[];
  /** 'own' is the method each model was trained with. */
  readonly method: string;
  readonly bmc: boolean;
  readonly view: View;
  readonly tab: Tab;
  /** A text in place of the pair's own. */
  readonly edited:
    | { readonly prompt: string; readonly chosen: string; readonly rejected: string }
    | undefined;
}

const START: State = {
  pair: 0,
  models: [FIRST_MODEL],
  method: 'own',
  bmc: false,
  view: 'reward',
  tab: 'pairs',
  edited: undefined,
};

export class Store {
  #state: State;
  readonly #listeners: ((state: State, before: State) => void)[] = [];

  constructor(hash: string) {
    this.#state = fromHash(hash);
  }

  get state(): State {
    return this.#state;
  }

  /** Changes some of it and tells everybody. */
  set(changes: Partial<State>): void {
    const before = this.#state;
    this.#state = { ...before, ...changes };
    for (const listener of this.#listeners) listener(this.#state, before);
  }

  subscribe(listener: (state: State, before: State) => void): void {
    this.#listeners.push(listener);
  }
}

/** What is different from the start, as a fragment: '#pair=3&view=kl'. */
export function toHash(state: State): string {
  const entries: [string, string][] = [];
  if (state.pair !== START.pair) entries.push(['pair', String(state.pair)]);
  if (state.models.join() !== START.models.join()) entries.push(['models', state.models.join()]);
  if (state.method !== START.method) entries.push(['method', state.method]);
  if (state.bmc) entries.push(['bmc', '1']);
  if (state.view !== START.view) entries.push(['view', state.view]);
  if (state.tab !== START.tab) entries.push(['tab', state.tab]);
  for (const [name, text] of Object.entries(state.edited ?? {})) entries.push([name, text]);
  return entries.length === 0 ? '' : `#${new URLSearchParams(entries)}`;
}

/** Reads a fragment; what makes no sense in it is left at the start. */
export function fromHash(hash: string): State {
  const read = new URLSearchParams(hash.replace(/^#/, ''));
  const pair = Number(read.get('pair') ?? START.pair);
  const view = VIEWS.find(([name]) => name === read.get('view'))?.[0] ?? START.view;
  const tab = TABS.find((name) => name === read.get('tab')) ?? START.tab;
  const models = (read.get('models') ?? '').split(',').filter((name) => name !== '');
  const [prompt, chosen, rejected] = ['prompt', 'chosen', 'rejected'].map((name) => read.get(name));
  const isEdited = prompt != null && chosen != null && rejected != null;
  return {
    pair: Number.isInteger(pair) && pair >= 0 ? pair : START.pair,
    models: models.length > 0 ? models.slice(0, 3) : START.models,
    method: read.get('method') ?? START.method,
    bmc: read.get('bmc') === '1',
    view,
    tab,
    edited: isEdited ? { prompt, chosen, rejected } : undefined,
  };
}
