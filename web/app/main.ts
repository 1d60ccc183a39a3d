/** The page: shows shipped scores at once, starts the engine beside them, and takes over with live ones. */
import { proxy, type Remote, wrap } from 'comlink';
import type {
  EngineApi,
  MethodChoice,
  MethodSummary,
  PairStatistics,
  PairText,
  ScoredPair,
} from '../worker/protocol.ts';
import { removeCharts } from './charts.ts';
import { FIRST_METHOD, FIRST_MODEL, MODEL_NAMES, SHIPPED_MODELS } from './content.ts';
import { controls } from './controls.ts';
import { dataCharts } from './data-charts.ts';
import { button, fill, h } from './dom.ts';
import { editor } from './editor.ts';
import type { ExportedView } from './export.ts';
import { filesPanel } from './files.ts';
import { legend } from './legend.ts';
import { pairTable } from './pair-table.ts';
import { playground } from './playground.ts';
import type { ShippedScores } from './shipped.ts';
import { type State, Store, TABS, toHash } from './state.ts';
import { tokenDetails, tokenView } from './token-view.ts';
import { trainingPanel } from './training.ts';
import { scaleOf, VIEWS, valuesOf } from './views.ts';

class Page {
  readonly #store = new Store(location.hash);
  readonly #engine: Remote<EngineApi>;
  #pairs: readonly PairText[] = [];
  #shipped: ShippedScores | undefined;
  #methods: readonly MethodSummary[] = [];
  #statistics: PairStatistics[] = [];
  /** By model slot: what is on the screen, and whether the engine computed it. */
  readonly #shown = new Map<string, { readonly scored: ScoredPair; readonly live: boolean }>();
  #loaded: string[] = [];
  #isOpen = false;
  readonly #parts = {
    adapter: h('span', { 'data-testid': 'adapter', class: 'badge' }, 'engine starting'),
    source: h('span', { 'data-testid': 'source', class: 'badge', 'aria-live': 'polite' }, 'shipped'),
    error: h('div', { 'data-testid': 'error', class: 'error', role: 'alert', hidden: true }),
    controls: h('div', { class: 'controls' }),
    legend: h('div', { class: 'legend' }),
    panes: h('div', { class: 'panes' }),
    details: h(
      'aside',
      { class: 'inspector', 'aria-live': 'polite' },
      'Point at a token, or move to it with Tab.',
    ),
    tabs: h('nav', { class: 'tabs', role: 'tablist', 'aria-label': 'Tools' }),
    tool: h('div', { class: 'tool', role: 'tabpanel' }),
  };

  constructor() {
    const worker = new Worker(new URL('../worker/worker.ts', import.meta.url), { type: 'module' });
    worker.addEventListener('error', (event) => this.#fail(`The engine could not start: ${event.message}`));
    this.#engine = wrap<EngineApi>(worker);
  }

  async start(root: Element): Promise<void> {
    const { adapter, source, error, controls, legend, panes, details, tabs, tool } = this.#parts;
    fill(
      root,
      h(
        'header',
        {},
        h('h1', {}, 'prefgrad'),
        h('p', {}, 'where a preference method puts its reward, token by token'),
        h('div', { class: 'badges' }, source, adapter),
      ),
      error,
      h('main', {}, controls, legend, h('div', { class: 'stage' }, panes, details), tabs, tool),
    );
    this.#shipped = (await (await fetch('./scores.json')).json()) as ShippedScores;
    this.#pairs = this.#shipped.pairs;
    this.#store.subscribe((state, before) => this.#changed(state, before));
    window.addEventListener('hashchange', () => {
      if (location.hash !== toHash(this.#store.state)) this.#store.set(new Store(location.hash).state);
    });
    window.addEventListener('keydown', (event) => this.#key(event));
    this.#showShipped();
    this.#renderAll();
    await this.#openEngine();
  }

  async #openEngine(): Promise<void> {
    try {
      this.#methods = await this.#engine.methods();
      const adapter = await this.#engine.open();
      fill(this.#parts.adapter, `${adapter.description}${adapter.isFallback ? ' (CPU)' : ''}`);
      await this.#engine.onDeviceLost(proxy((reason: string) => void this.#lost(reason)));
      const base = new URL('./models/', location.href).href;
      for (const slot of ['reference', ...SHIPPED_MODELS]) {
        await this.#engine.loadModel(slot, { kind: 'url', url: `${base}${slot}` });
        this.#loaded.push(slot);
      }
      this.#isOpen = true;
      await this.#score();
      this.#renderControls();
      this.#renderTool();
      await this.#countPairs();
    } catch (error) {
      this.#fail(sentence(error));
      fill(this.#parts.adapter, 'no engine: shipped scores only');
    }
  }

  async #lost(reason: string): Promise<void> {
    this.#fail(`The GPU was taken away (${reason}). Opening it again; a run in this tab has ended.`);
    this.#isOpen = false;
    this.#loaded = [];
    await this.#openEngine();
  }

  #changed(state: State, before: State): void {
    const hash = toHash(state);
    if (hash !== location.hash) history.replaceState(null, '', hash === '' ? location.pathname : hash);
    const isRescored =
      state.pair !== before.pair ||
      state.models !== before.models ||
      state.method !== before.method ||
      state.bmc !== before.bmc ||
      state.edited !== before.edited;
    if (isRescored) {
      // While one types, the last colours stay until the new ones are there.
      if (state.edited === undefined) this.#showShipped();
      void this.#score();
    }
    if (state.tab !== before.tab || state.pair !== before.pair) this.#renderTool();
    this.#renderControls();
    this.#renderPanes();
  }

  /** The pair on the screen: the user's own text, or the one of the data. */
  #pairText(): PairText {
    const { edited, pair } = this.#store.state;
    return edited ?? this.#pairs[Math.min(pair, this.#pairs.length - 1)];
  }

  #methodOf(slot: string): MethodChoice {
    const { method, bmc } = this.#store.state;
    if (method === 'own')
      return this.#shipped?.methods[slot] ?? this.#shipped?.methods[FIRST_MODEL] ?? FIRST_METHOD;
    const summary = this.#methods.find(({ name }) => name === method);
    const settings = method === FIRST_METHOD.name ? FIRST_METHOD.settings : {};
    return { name: method, settings, ...(bmc && summary?.takesBmc ? { bmc: {} } : {}) };
  }

  #showShipped(): void {
    const { state } = this.#store;
    this.#shown.clear();
    const isShipped =
      state.edited === undefined && state.method === 'own' && this.#pairs === this.#shipped?.pairs;
    for (const slot of isShipped ? state.models : []) {
      const scored = this.#shipped?.scores[slot]?.[state.pair];
      if (scored !== undefined) this.#shown.set(slot, { scored, live: false });
    }
  }

  /** Live scores of what is shown; the worker drops a call when a later one of its lane has come in. */
  async #score(): Promise<void> {
    if (!this.#isOpen) return;
    const pair = this.#pairText();
    try {
      for (const slot of this.#store.state.models) {
        if (!this.#loaded.includes(slot)) continue;
        const request = {
          pair,
          policy: slot,
          reference: 'reference',
          method: this.#methodOf(slot),
          details: true,
        };
        const scored = await this.#engine.score(slot, request);
        if (scored === undefined || this.#pairText() !== pair) return;
        this.#shown.set(slot, { scored, live: true });
      }
      this.#clearError();
      this.#renderPanes();
    } catch (error) {
      this.#fail(sentence(error));
    }
  }

  async #countPairs(): Promise<void> {
    const policy = this.#store.state.models.find((slot) => this.#loaded.includes(slot)) ?? FIRST_MODEL;
    const pairs = this.#pairs;
    this.#statistics = [];
    await this.#engine.statistics(
      [...pairs],
      policy,
      'reference',
      proxy((rows: readonly PairStatistics[]) => {
        if (pairs === this.#pairs) this.#statistics.push(...rows);
      }),
    );
    if (['pairs', 'charts'].includes(this.#store.state.tab)) this.#renderTool();
  }

  #renderAll(): void {
    this.#renderControls();
    this.#renderPanes();
    this.#renderTool();
  }

  #renderControls(): void {
    const active = document.activeElement?.getAttribute('data-testid');
    fill(
      this.#parts.controls,
      ...controls({
        state: this.#store.state,
        pairs: this.#pairs.length,
        methods: this.#methods,
        loaded: this.#loaded,
        set: (change) => this.#store.set(change),
        view: () => this.#view(),
      }),
    );
    // A menu that was just used keeps the focus, although it is a new element.
    if (active) this.#parts.controls.querySelector<HTMLElement>(`[data-testid="${active}"]`)?.focus();
  }

  #view(): ExportedView {
    const { view } = this.#store.state;
    const shown = [...this.#shown];
    return {
      view,
      scale: scaleOf(
        shown.map(([, { scored }]) => scored),
        view,
      ),
      models: shown.map(([model, { scored }]) => ({
        model,
        method: methodText(this.#methodOf(model)),
        scored,
      })),
    };
  }

  #renderPanes(): void {
    const { view } = this.#store.state;
    const shown = this.#store.state.models.flatMap((slot) => {
      const found = this.#shown.get(slot);
      return found === undefined ? [] : [{ slot, ...found }];
    });
    const scale = scaleOf(
      shown.map(({ scored }) => scored),
      view,
    );
    fill(this.#parts.source, shown.length > 0 && shown.every(({ live }) => live) ? 'live' : 'shipped');
    const isKnown = shown.some(({ scored }) => valuesOf(scored.chosen, view) !== undefined);
    fill(this.#parts.legend, ...legend(view, scale, isKnown));
    fill(
      this.#parts.panes,
      ...(shown.length === 0
        ? [h('p', { class: 'quiet' }, 'The engine computes this as soon as it is ready.')]
        : []),
      ...shown.map(({ slot, scored }) =>
        tokenView(scored, {
          title: MODEL_NAMES[slot] ?? slot,
          view,
          scale,
          method: methodText(this.#methodOf(slot)),
          onToken: (side, index) => fill(this.#parts.details, tokenDetails(scored, side, index)),
        }),
      ),
    );
  }

  #renderTool(): void {
    const { tab } = this.#store.state;
    fill(
      this.#parts.tabs,
      ...TABS.map((name) =>
        button(
          name,
          { role: 'tab', 'aria-selected': name === tab ? 'true' : 'false', 'data-testid': `tab-${name}` },
          () => this.#store.set({ tab: name }),
        ),
      ),
    );
    removeCharts(this.#parts.tool);
    fill(this.#parts.tool, this.#tool());
  }

  #tool(): HTMLElement {
    const engine = this.#engine;
    const fail = (error: unknown) => this.#fail(sentence(error));
    switch (this.#store.state.tab) {
      case 'pairs':
        return pairTable(this.#pairs, this.#statistics, this.#store.state.pair, (pair) =>
          this.#store.set({ pair, edited: undefined }),
        );
      case 'charts':
        return dataCharts(
          this.#statistics,
          [...this.#shown].map(([slot, { scored }]) => ({ name: MODEL_NAMES[slot] ?? slot, scored })),
        );
      case 'edit':
        return editor(this.#pairText(), {
          onChange: (edited) => this.#store.set({ edited }),
          writers: [...new Set([...this.#store.state.models, ...this.#loaded])]
            .filter((slot) => this.#loaded.includes(slot))
            .map((slot) => [slot, MODEL_NAMES[slot] ?? slot]),
          generate: (model, prompt, onText) =>
            engine
              .generate(
                { model, prompt, maxTokens: 60, temperature: 0.8, seed: Date.now() % 1e6 },
                proxy(onText),
              )
              .catch((error: unknown) => {
                fail(error);
                return '';
              }),
        });
      case 'train':
        return trainingPanel(engine, {
          methods: this.#methods,
          pairs: this.#pairs,
          watch: this.#pairText(),
          fail,
          onWatched: (scored) => {
            this.#shown.set('policy', { scored, live: true });
            if (!this.#store.state.models.includes('policy'))
              this.#store.set({ models: [...this.#store.state.models, 'policy'].slice(-3) });
            else this.#renderPanes();
          },
          onModel: (isThere) => {
            this.#loaded = [...this.#loaded.filter((s) => s !== 'policy'), ...(isThere ? ['policy'] : [])];
            if (!isThere && this.#store.state.models.includes('policy')) {
              const rest = this.#store.state.models.filter((s) => s !== 'policy');
              this.#store.set({ models: rest.length > 0 ? rest : [FIRST_MODEL] });
            }
          },
        });
      case 'playground':
        return playground(engine, this.#methods, fail);
      case 'files':
        return filesPanel({
          fail,
          loadModel: async (files) => {
            const summary = await engine.loadModel('yours', { kind: 'files', files });
            this.#loaded.push('yours');
            this.#store.set({ models: ['yours'] });
            return `${summary.architecture}, ${(summary.parameters / 1e6).toFixed(1)}M parameters`;
          },
          loadPairs: async (name, file) => {
            this.#pairs = await engine.readPairs(name, file);
            this.#store.set({ pair: 0, edited: undefined });
            void this.#countPairs().catch(fail);
            return `${this.#pairs.length} pairs`;
          },
          showScores: (pairs, scores) => {
            this.#pairs = pairs;
            this.#shipped = { pairs, methods: {}, scores: { [FIRST_MODEL]: scores } };
            this.#store.set({ pair: 0, edited: undefined, models: [FIRST_MODEL], method: 'own' });
          },
        });
    }
  }

  #key(event: KeyboardEvent): void {
    const isTyping =
      event.target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (isTyping || event.altKey || event.ctrlKey || event.metaKey) return;
    const { state } = this.#store;
    const count = this.#pairs.length;
    if (event.key === 'j' || event.key === 'k') {
      const step = event.key === 'j' ? 1 : -1;
      this.#store.set({ pair: (state.pair + step + count) % count, edited: undefined });
    }
    if (event.key === 'v') {
      const at = VIEWS.findIndex(([name]) => name === state.view);
      this.#store.set({ view: VIEWS[(at + 1) % VIEWS.length][0] });
    }
  }

  #fail(message: string): void {
    this.#parts.error.hidden = false;
    fill(this.#parts.error, message);
  }

  #clearError(): void {
    this.#parts.error.hidden = true;
    fill(this.#parts.error);
  }
}

function methodText({ name, bmc }: MethodChoice): string {
  return bmc === undefined ? name : `${name} with BMC weights`;
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const root = document.querySelector('#app');
if (root !== null) void new Page().start(root);
