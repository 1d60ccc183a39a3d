/** The tool beside the answers: what the tabs choose between. */
import { proxy, type Remote } from 'comlink';
import type { EngineApi, MethodSummary } from '../worker/protocol.ts';
import { chartsPanel } from './charts-panel.ts';
import { h } from './dom.ts';
import { editor } from './editor.ts';
import type { FilesPanel } from './files-panel.ts';
import { inspector, mostDecisive } from './inspector.ts';
import type { Library } from './library.ts';
import { playground } from './playground.ts';
import type { Scores } from './scores.ts';
import type { Selected } from './stage.ts';
import { paneOf, type Store } from './state.ts';
import { TrainingPanel } from './training.ts';
import { TrainingRuns } from './training-runs.ts';

export interface ToolsOptions {
  readonly engine: Remote<EngineApi>;
  readonly store: Store;
  readonly library: Library;
  readonly scores: Scores;
  readonly files: FilesPanel;
  selected(): Selected | undefined;
  select(token: Selected): void;
  /** Why there will be no engine; undefined while there may be one. */
  noEngine(): string | undefined;
  fail(error: unknown): void;
  renderStage(): void;
}

export class Tools {
  methods: readonly MethodSummary[] = [];
  readonly #options: ToolsOptions;
  readonly #runs: TrainingRuns;
  #training: TrainingPanel | undefined;
  #playground: HTMLElement | undefined;

  constructor(options: ToolsOptions) {
    this.#options = options;
    this.#runs = new TrainingRuns(options);
  }

  /** The engine has lost its run. */
  forgetTraining(): void {
    this.#training = undefined;
  }

  /** The tool that the state asks for; one that keeps something is the same element each time. */
  element(): HTMLElement {
    const { engine, store, scores, library, files, fail } = this.#options;
    const { state } = store;
    switch (state.tool) {
      case 'token':
        return this.#inspector();
      case 'charts':
        return this.#charts();
      case 'edit':
        return editor(scores.textOf(state), {
          onChange: (edited) => store.set({ edited }),
          writers: library.models.map(({ id, name }) => [id, name]),
          generate: (model, prompt, onText) => this.#generate(model, prompt, onText),
        });
      case 'train':
        if (!scores.isOpen) return this.#waiting('Training');
        this.#training ??= new TrainingPanel(engine, {
          methods: this.methods,
          starts: startsOf(library),
          pairs: () => library.rows.pairs,
          watch: () => scores.textOf(store.state),
          prepare: (start) => (library.find(start) === undefined ? Promise.resolve() : scores.load(start)),
          fail,
          ...this.#runs.hooks,
        });
        return this.#training.element;
      case 'playground':
        if (!scores.isOpen) return this.#waiting('The playground');
        this.#playground ??= playground(engine, this.methods, fail);
        return this.#playground;
      case 'files':
        files.list();
        return files.element;
    }
  }

  async #generate(model: string, prompt: string, onText: (text: string) => void): Promise<string> {
    const { engine, scores, fail } = this.#options;
    try {
      await scores.load(model);
      const seed = Date.now() % 1e6;
      return await engine.generate({ model, prompt, maxTokens: 60, temperature: 0.8, seed }, proxy(onText));
    } catch (error) {
      fail(error);
      return '';
    }
  }

  #waiting(what: string): HTMLElement {
    const reason = this.#options.noEngine();
    const text =
      reason === undefined
        ? `${what} comes with the engine, which is starting.`
        : `${what} needs WebGPU. ${reason}`;
    return h('p', { class: 'quiet' }, text);
  }

  #inspector(): HTMLElement {
    const { store, scores, selected } = this.#options;
    const { state } = store;
    const at = selected() ?? { pane: 0, side: 'chosen' as const, index: -1 };
    const pane = state.panes[at.pane] ?? state.panes[0];
    const { scored } = scores.shown(pane, state);
    if (scored === undefined)
      return h('p', { class: 'quiet' }, 'Point at a token, or move to it with the arrow keys.');
    const isThere = at.index >= 0 && at.index < scored[at.side].token_ids.length;
    const { side, index } = isThere ? at : mostDecisive(scored);
    return inspector(this.#name(pane.source), scored, side, index);
  }

  #charts(): HTMLElement {
    const { store, scores, library, select } = this.#options;
    const { state } = store;
    return chartsPanel({
      panes: state.panes.flatMap((pane) => {
        const { scored } = scores.shown(pane, state);
        return scored === undefined ? [] : [{ name: this.#name(pane.source), scored }];
      }),
      pair: state.pair,
      statistics: new Map(state.panes.map(({ source }) => [this.#name(source), scores.statistics(source)])),
      runs: library.runs,
      figures: library.figures,
      openPair: (pair) => store.set({ pair, edited: undefined }),
      pointAt: (side, index) => select({ pane: 0, side, index }),
    });
  }

  #name(id: string): string {
    return this.#options.library.find(id)?.name ?? id;
  }
}

/** What training may start from: the bundled start first. */
function startsOf(library: Library): [string, string][] {
  const starts = library.models.filter(({ id }) => id !== 'policy');
  const first = starts.filter(({ id }) => id === paneOf('').reference);
  return [...new Set([...first, ...starts])].map(({ id, name }) => [id, name]);
}
