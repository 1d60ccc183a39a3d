/** The state of the view: one object, one way to change it, and its place in the URL. */
import type { MethodChoice, PairText } from '../worker/protocol.ts';
import { FIRST_MODEL } from './content.ts';
import { VIEWS, type View } from './views.ts';

export const TOOLS = ['token', 'charts', 'edit', 'train', 'playground', 'files'] as const;
export type Tool = (typeof TOOLS)[number];

/** One model, or one score file, beside the others. */
export interface Pane {
  /** Id of a model or of a score file in the library. */
  readonly source: string;
  /** Id of the reference model; score files have theirs inside. */
  readonly reference: string;
  /** undefined: the method that the source was trained with. */
  readonly method: MethodChoice | undefined;
}

export interface State {
  /** Index into the pairs at hand. */
  readonly pair: number;
  /** One to three. */
  readonly panes: readonly Pane[];
  readonly view: View;
  readonly tool: Tool;
  /** Two panes as one, coloured by the difference of the first and the second. */
  readonly difference: boolean;
  /** The pane that a phone shows, which has no room for two. */
  readonly front: number;
  /** White space made visible. */
  readonly marks: boolean;
  /** A text in place of the pair's own. */
  readonly edited: PairText | undefined;
}

export const MOST_PANES = 3;

export function paneOf(source: string): Pane {
  return { source, reference: 'reference', method: undefined };
}

const START: State = {
  pair: 0,
  panes: [paneOf(FIRST_MODEL)],
  view: 'contribution',
  tool: 'token',
  difference: false,
  front: 0,
  marks: false,
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
  if (JSON.stringify(state.panes) !== JSON.stringify(START.panes))
    entries.push(['panes', state.panes.map(paneText).join('|')]);
  if (state.view !== START.view) entries.push(['view', state.view]);
  if (state.tool !== START.tool) entries.push(['tool', state.tool]);
  if (state.difference) entries.push(['difference', '1']);
  if (state.marks) entries.push(['marks', '1']);
  for (const [name, text] of Object.entries(state.edited ?? {})) entries.push([name, text]);
  return entries.length === 0 ? '' : `#${new URLSearchParams(entries)}`;
}

/** 'source', 'source,reference' or 'source,reference,{method}'. */
function paneText({ source, reference, method }: Pane): string {
  const words = [source];
  if (reference !== 'reference' || method !== undefined) words.push(reference);
  if (method !== undefined) words.push(JSON.stringify(method));
  return words.join(',');
}

function readPane(text: string): Pane | undefined {
  const [source, reference = 'reference', ...rest] = text.split(',');
  if (source === '') return undefined;
  try {
    const method = rest.length === 0 ? undefined : (JSON.parse(rest.join(',')) as MethodChoice);
    return { source, reference, method };
  } catch {
    return { source, reference, method: undefined };
  }
}

/** Reads a fragment; what makes no sense in it is left at the start. */
export function fromHash(hash: string): State {
  const read = new URLSearchParams(hash.replace(/^#/, ''));
  const pair = Number(read.get('pair') ?? START.pair);
  const panes = (read.get('panes') ?? '').split('|').flatMap((text) => readPane(text) ?? []);
  const [prompt, chosen, rejected] = ['prompt', 'chosen', 'rejected'].map((name) => read.get(name));
  const isEdited = prompt != null && chosen != null && rejected != null;
  return {
    pair: Number.isInteger(pair) && pair >= 0 ? pair : START.pair,
    panes: panes.length > 0 ? panes.slice(0, MOST_PANES) : START.panes,
    view: VIEWS.find(([name]) => name === read.get('view'))?.[0] ?? START.view,
    tool: TOOLS.find((name) => name === read.get('tool')) ?? START.tool,
    difference: read.get('difference') === '1',
    front: 0,
    marks: read.get('marks') === '1',
    edited: isEdited ? { prompt, chosen, rejected } : undefined,
  };
}
