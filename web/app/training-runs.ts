/** Runs of this tab as things to look at: the model in training, finished runs, and two of them beside each other. */

import { FIRST_MODEL } from './content.ts';
import type { Library } from './library.ts';
import type { Scores } from './scores.ts';
import { MOST_PANES, type Pane, paneOf, type Store } from './state.ts';
import type { FinishedRun, RunInTab, TrainingOptions } from './training.ts';

/** Id of the model in training, and its slot in the engine. */
const POLICY = 'policy';

export interface TrainingRunsOptions {
  readonly store: Store;
  readonly library: Library;
  readonly scores: Scores;
  renderStage(): void;
}

export class TrainingRuns {
  readonly #options: TrainingRunsOptions;
  /** Ids of finished runs' models, the last one last. */
  readonly #finished: string[] = [];

  constructor(options: TrainingRunsOptions) {
    this.#options = options;
  }

  get hooks(): Pick<TrainingOptions, 'onWatched' | 'onModel' | 'onFinished' | 'compare'> {
    return {
      onWatched: (text, { start }, scored) => {
        const { store, scores, renderStage } = this.#options;
        const pane: Pane = { source: POLICY, reference: start, method: undefined };
        scores.note(pane, text, scored);
        const { panes } = store.state;
        if (panes.some(({ source }) => source === POLICY)) renderStage();
        else store.set({ panes: [...panes, pane].slice(-MOST_PANES) });
      },
      onModel: (run) => this.#onModel(run),
      onFinished: (run) => this.#onFinished(run),
      compare: () => {
        const panes = this.#finished.slice(-2).map(paneOf);
        this.#options.store.set({ panes, tool: 'charts', difference: false });
      },
    };
  }

  #onModel(run: RunInTab | undefined): void {
    const { library, scores, store } = this.#options;
    scores.forget(POLICY);
    if (run === undefined) {
      library.remove(POLICY);
      const rest = store.state.panes.filter(({ source }) => source !== POLICY);
      store.set({ panes: rest.length > 0 ? rest : [paneOf(FIRST_MODEL)] });
      return;
    }
    const common = { kind: 'model' as const, source: undefined, method: run.method };
    // A run that is continued brings its start along where this page does not know it.
    if (library.find(run.start) === undefined)
      library.add({ ...common, id: run.start, name: 'start of the kept run', origin: 'this browser' });
    library.add({ ...common, id: POLICY, name: 'in training', origin: 'this tab' });
  }

  #onFinished({ name, method, files, metrics }: FinishedRun): void {
    const { library, renderStage } = this.#options;
    const run = library.newId('tab');
    const id = `${run}.0`;
    const source = { kind: 'files' as const, files };
    library.add({ kind: 'model', id, name, origin: 'trained in this tab', source, method, run });
    library.addRun({ id: run, name, metrics, models: [id] });
    this.#finished.push(id);
    renderStage();
  }
}
