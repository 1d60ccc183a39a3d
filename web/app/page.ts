/** The page's controller: state in, panes, list and tools out; the engine is asked for what is on the screen and not known yet. */
import { proxy, type Remote, wrap } from 'comlink';
import type {
  EngineApi,
  MethodChoice,
  MethodSummary,
  PairStatistics,
  PairText,
  ScoredPair,
} from '../worker/protocol.ts';
import { chartsPanel } from './charts-panel.ts';
import { FIRST_METHOD, FIRST_MODEL, shippedModels } from './content.ts';
import { fill, h } from './dom.ts';
import { editor } from './editor.ts';
import { droppedItems, FilesPanel } from './files-panel.ts';
import { inspector } from './inspector.ts';
import { keySheet, moveBetweenTokens } from './keyboard.ts';
import { type Entry, Library } from './library.ts';
import { type Item, open } from './opened.ts';
import { PairList } from './pair-list.ts';
import { playground } from './playground.ts';
import { servedItems } from './served.ts';
import { expandScores, type ShippedScores } from './shipped.ts';
import { type Selected, stage } from './stage.ts';
import { MOST_PANES, type Pane, paneOf, type State, Store, TOOLS, type Tool, toHash } from './state.ts';
import { statisticsOf } from './statistics.ts';
import { story } from './story.ts';
import { toolTabs } from './tool-tabs.ts';
import { TrainingPanel } from './training.ts';
import { VIEWS } from './views.ts';

/** What a pane shows: scores, whether the engine made them just now, or why there are none. */
export interface Shown {
  readonly scored?: ScoredPair;
  readonly live: boolean;
  readonly problem?: string;
}

export class Page {
  readonly #store = new Store(location.hash);
  readonly #engine: Remote<EngineApi>;
  readonly #library = new Library();
  readonly #list: PairList;
  readonly #files: FilesPanel;
  readonly #keys = keySheet();
  #methods: readonly MethodSummary[] = [];
  #shipped: ShippedScores | undefined;
  /** By pane, method and text: what the engine said. */
  readonly #known = new Map<string, Shown>();
  /** By model entry: what is known of the rows at hand. */
  readonly #statistics = new Map<string, PairStatistics[]>();
  /** Models that the engine has, or is loading. */
  readonly #loads = new Map<string, Promise<void>>();
  #selected: Selected | undefined;
  #training: TrainingPanel | undefined;
  #playground: HTMLElement | undefined;
  #isOpen = false;
  /** Why there will be no engine. */
  #noEngine: string | undefined;
  #counting = '';
  readonly #parts = {
    adapter: h('span', { 'data-testid': 'adapter', class: 'badge' }, 'engine starting'),
    progress: h('span', { 'data-testid': 'progress', class: 'quiet' }),
    source: h('span', { 'data-testid': 'source', class: 'badge', 'aria-live': 'polite' }, 'shipped'),
    error: h('div', { 'data-testid': 'error', class: 'error', role: 'alert', hidden: true }),
    stage: h('div', { class: 'stage' }),
    tool: h('div', { class: 'tool', role: 'tabpanel', id: 'tool', tabindex: 0 }),
    tabs: h('div', { class: 'tabs' }),
    app: h('div', { class: 'app' }),
  };

  constructor() {
    const worker = new Worker(new URL('../worker/worker.ts', import.meta.url), { type: 'module' });
    worker.addEventListener('error', (event) => this.#fail(`The engine could not start: ${event.message}`));
    this.#engine = wrap<EngineApi>(worker);
    this.#list = new PairList({ open: (pair) => this.#openPair(pair) });
    this.#files = new FilesPanel({
      library: this.#library,
      take: (items) => this.#take(items),
      fail: (error) => this.#fail(sentence(error)),
    });
  }

  async start(root: Element): Promise<void> {
    for (const entry of shippedModels(location.href)) this.#library.add(entry);
    this.#store.subscribe((state, before) => this.#changed(state, before));
    this.#shipped = expandScores((await (await fetch('./scores.json')).json()) as ShippedScores);
    // In one task with what it shows, so that nothing moves when it comes.
    this.#build(root);
    this.#library.rows = { name: 'story openings', origin: 'bundled example', pairs: this.#shipped.pairs };
    this.#countShipped();
    this.#renderAll();
    await this.#openEngine();
  }

  #build(root: Element): void {
    const { adapter, progress, source, error, stage, tool, tabs, app } = this.#parts;
    const help = h(
      'button',
      { type: 'button', class: 'plain', 'aria-label': 'keys', 'data-testid': 'help' },
      '?',
    );
    help.addEventListener('click', () => this.#keys.showModal());
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
        this.#list.element,
        h(
          'div',
          { class: 'middle', id: 'stage' },
          story((change) => this.#store.set(change)),
          stage,
        ),
        h('aside', { class: 'side', 'aria-label': 'Tools' }, tabs, tool),
      ),
    );
    fill(root, app, this.#keys);
    window.addEventListener('hashchange', () => {
      if (location.hash !== toHash(this.#store.state)) this.#store.set(new Store(location.hash).state);
    });
    window.addEventListener('keydown', (event) => this.#key(event));
    window.addEventListener('dragover', (event) => event.preventDefault());
    window.addEventListener('drop', (event) => {
      event.preventDefault();
      this.#store.set({ tool: 'files' });
      void droppedItems(event.dataTransfer).then((items) => this.#files.take(items));
    });
  }

  async #openEngine(): Promise<void> {
    try {
      this.#methods = await this.#engine.methods();
      await this.#engine.onProgress(proxy((text: string) => fill(this.#parts.progress, text)));
      const adapter = await this.#engine.open();
      fill(this.#parts.adapter, `${adapter.description}${adapter.isFallback ? ' (CPU)' : ''}`);
      await this.#engine.onDeviceLost(proxy((reason: string) => void this.#lost(reason)));
      this.#isOpen = true;
      const items = await servedItems(location.href);
      if (items.length > 0) fill(this.#parts.source, await this.#take(items));
      await this.#score();
      this.#renderAll();
      await this.#count();
    } catch (error) {
      this.#noEngine = sentence(error);
      this.#fail(this.#noEngine);
      fill(this.#parts.adapter, 'no engine: shipped scores only');
      this.#renderTool();
    }
  }

  async #lost(reason: string): Promise<void> {
    this.#fail(`The GPU was taken away (${reason}). Opening it again; a run in this tab has ended.`);
    this.#isOpen = false;
    this.#loads.clear();
    this.#training = undefined;
    await this.#openEngine();
  }

  #changed(state: State, before: State): void {
    const hash = toHash(state);
    if (hash !== location.hash)
      history.replaceState(null, '', hash === '' ? location.pathname + location.search : hash);
    const isOther =
      state.pair !== before.pair || state.panes !== before.panes || state.edited !== before.edited;
    if (state.pair !== before.pair) this.#selected = undefined;
    if (isOther) void this.#score();
    if (state.panes !== before.panes) void this.#count();
    if (state.pair !== before.pair) this.#list.select(state.pair);
    this.#renderStage();
    if (state.tool !== before.tool || isOther) this.#renderTool();
  }

  #openPair(pair: number): void {
    this.#store.set({ pair, edited: undefined });
  }

  /** The pair on the screen: the user's own text, or that of the rows. */
  #pairText(): PairText {
    const { edited, pair } = this.#store.state;
    const { pairs } = this.#library.rows;
    return edited ?? pairs[Math.min(pair, pairs.length - 1)];
  }

  #methodOf(pane: Pane): MethodChoice {
    const entry = this.#library.find(pane.source);
    return pane.method ?? (entry?.kind === 'model' ? entry.method : undefined) ?? FIRST_METHOD;
  }

  #key(event: KeyboardEvent): void {
    if (moveBetweenTokens(event)) return;
    const isTyping =
      event.target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (isTyping || event.altKey || event.ctrlKey || event.metaKey) return;
    const { state } = this.#store;
    if (event.key === 'j') this.#openPair(this.#list.neighbour(1));
    else if (event.key === 'k') this.#openPair(this.#list.neighbour(-1));
    else if (event.key === 'v') {
      const at = VIEWS.findIndex(([name]) => name === state.view);
      this.#store.set({ view: VIEWS[(at + 1) % VIEWS.length][0] });
    } else if (event.key === 'w') this.#store.set({ marks: !state.marks });
    else if (event.key === 'd' && state.panes.length > 1) this.#store.set({ difference: !state.difference });
    else if (event.key === '?') this.#keys.showModal();
    else if (/^[1-6]$/.test(event.key)) this.#store.set({ tool: TOOLS[Number(event.key) - 1] });
  }

  /** What the pane shows now, from its file, from what was shipped, or from the engine. */
  #shownIn(pane: Pane): Shown {
    const entry = this.#library.find(pane.source);
    const text = this.#pairText();
    if (entry?.kind === 'scores') {
      const at = entry.pairs.indexOf(text);
      const place = at >= 0 ? at : entry.pairs.findIndex((pair) => sameText(pair, text));
      return place >= 0
        ? { scored: entry.scored[place], live: false }
        : { live: false, problem: `${entry.name} has no line for this pair. Open its own rows, or a model.` };
    }
    const known = this.#known.get(this.#keyOf(pane));
    if (known !== undefined) return known;
    const { edited, pair } = this.#store.state;
    const isShipped =
      edited === undefined &&
      pane.method === undefined &&
      pane.reference === 'reference' &&
      this.#library.rows.pairs === this.#shipped?.pairs;
    const shipped = isShipped ? this.#shipped?.scores[pane.source]?.[pair] : undefined;
    return { scored: shipped, live: false };
  }

  #keyOf(pane: Pane): string {
    return JSON.stringify([pane.source, pane.reference, this.#methodOf(pane), this.#pairText()]);
  }

  /** Asks the engine for what is shown; it drops a call when a later one of the same pane has come in. */
  async #score(): Promise<void> {
    if (!this.#isOpen) return;
    for (const [place, pane] of this.#store.state.panes.entries()) {
      const entry = this.#library.find(pane.source);
      const key = this.#keyOf(pane);
      if (entry === undefined || entry.kind === 'scores' || this.#known.get(key)?.live) continue;
      try {
        await this.#load(pane.reference);
        await this.#load(pane.source);
        const scored = await this.#engine.score(`pane ${place}`, {
          pair: this.#pairText(),
          policy: pane.source,
          reference: pane.reference,
          method: this.#methodOf(pane),
          details: true,
        });
        if (scored !== undefined) this.#known.set(key, { scored, live: true });
      } catch (error) {
        this.#known.set(key, { live: false, problem: sentence(error) });
      }
      this.#renderStage();
      this.#renderTokenTool();
    }
  }

  /** Loads a model into the engine when somebody looks at it. */
  #load(id: string): Promise<void> {
    const known = this.#loads.get(id);
    if (known !== undefined) return known;
    const entry = this.#library.find(id);
    if (entry?.kind !== 'model' || entry.source === undefined)
      return entry === undefined
        ? Promise.reject(new Error(`There is no model called ${id}.`))
        : Promise.resolve();
    const load = this.#engine.loadModel(id, entry.source).then(() => {});
    this.#loads.set(id, load);
    load.catch(() => this.#loads.delete(id));
    return load;
  }

  /** The list's numbers of rows that were shipped, or that a score file has. */
  #countShipped(): void {
    for (const [id, scores] of Object.entries(this.#shipped?.scores ?? {}))
      this.#statistics.set(
        id,
        scores.flatMap((scored, i) => statisticsOf(i, scored) ?? []),
      );
  }

  async #count(): Promise<void> {
    const { rows } = this.#library;
    for (const pane of this.#store.state.panes) {
      if (this.#statistics.has(pane.source)) continue;
      const entry = this.#library.find(pane.source);
      const found: PairStatistics[] = [];
      if (entry?.kind === 'scores')
        found.push(...entry.scored.flatMap((scored, i) => statisticsOf(i, scored) ?? []));
      this.#statistics.set(pane.source, found);
      if (entry?.kind === 'model' && this.#isOpen && entry.source !== undefined) {
        await this.#load(pane.reference);
        await this.#load(pane.source);
        const onRows = (added: readonly PairStatistics[]) => {
          if (this.#library.rows !== rows) return;
          found.push(...added);
          this.#counting =
            found.length < rows.pairs.length ? `computed ${found.length} of ${rows.pairs.length}` : '';
          this.#renderList();
        };
        await this.#engine
          .statistics([...rows.pairs], pane.source, pane.reference, proxy(onRows))
          .catch((error: unknown) => this.#fail(sentence(error)));
      }
      this.#renderList();
      if (this.#store.state.tool === 'charts') this.#renderTool();
    }
  }

  /** Takes what was opened into the library and shows it. */
  async #take(items: readonly Item[]): Promise<string> {
    const opened = await open(items);
    const said: string[] = [];
    let panes: Pane[] = [];
    for (const found of opened) {
      if (found.kind === 'rows') {
        const pairs = await this.#engine.readPairs(found.name, found.file);
        this.#showRows({ name: found.name, origin: 'your rows', pairs });
        said.push(`${found.name}: ${pairs.length} pairs`);
      } else if (found.kind === 'scores') {
        const id = this.#library.newId('scores');
        this.#library.add({ ...found, id, origin: 'your score file, as it is' });
        this.#showRows({ name: found.name, origin: 'your score file', pairs: found.pairs });
        panes.push(paneOf(id));
        said.push(`${found.name}: scores of ${found.pairs.length} pairs`);
      } else if (found.kind === 'run') {
        const run = this.#library.newId('run');
        const models = found.models.map((model, i) => {
          const id = `${run}.${i}`;
          this.#library.add({
            kind: 'model',
            id,
            origin: `run ${found.name}`,
            method: found.method,
            run,
            ...model,
          });
          return id;
        });
        this.#library.addRun({ id: run, name: found.name, metrics: found.metrics, models });
        const last = models.at(-1);
        if (last !== undefined) panes.push(paneOf(last));
        said.push(`${found.name}: ${found.metrics.length} lines of metrics, ${models.length} models`);
        if (last === undefined) this.#store.set({ tool: 'charts' });
      } else {
        const id = this.#library.newId('model');
        this.#library.add({ ...found, id, origin: 'your model' });
        await this.#load(id);
        panes.push(paneOf(id));
        said.push(`${found.name}: loaded`);
      }
    }
    panes = panes.slice(-MOST_PANES);
    this.#clearError();
    if (panes.length > 0) this.#store.set({ panes, edited: undefined });
    else this.#renderAll();
    return said.join('; ');
  }

  #showRows(rows: Library['rows']): void {
    this.#library.rows = rows;
    this.#statistics.clear();
    this.#known.clear();
    this.#selected = undefined;
    this.#counting = '';
    // The pair's number may stay what it was, the pair does not.
    this.#store.set({ pair: 0, edited: undefined });
    void this.#score();
    void this.#count();
    this.#renderAll();
  }

  #renderAll(): void {
    this.#renderList();
    this.#list.select(this.#store.state.pair);
    this.#renderStage();
    this.#renderTool();
  }

  #renderList(): void {
    const [first] = this.#store.state.panes;
    this.#list.show(this.#library.rows, this.#statistics.get(first.source) ?? [], this.#counting);
  }

  #renderStage(): void {
    const { state } = this.#store;
    const shown = state.panes.map((pane) => ({ pane, ...this.#shownIn(pane) }));
    const isLive = shown.some(({ live }) => live);
    const origins = new Set(state.panes.map(({ source }) => this.#library.find(source)?.origin ?? 'nothing'));
    fill(
      this.#parts.source,
      `${isLive ? 'live: ' : shown.some(({ scored }) => scored) ? 'shipped: ' : ''}${[...origins].join(', ')}`,
    );
    const active = document.activeElement?.getAttribute('data-testid');
    const focused = active === 'token' ? this.#selected : undefined;
    fill(
      this.#parts.stage,
      ...stage({
        state,
        text: this.#pairText(),
        rows: this.#library.rows,
        shown: shown.map((one) => ({
          ...one,
          effective: this.#methodOf(one.pane),
          entry: this.#library.find(one.pane.source),
        })),
        library: this.#library,
        methods: this.#methods,
        selected: this.#selected,
        set: (change) => this.#store.set(change),
        onToken: (selected) => this.#select(selected),
      }),
    );
    // What had the focus is a new element now.
    if (focused !== undefined) this.#tokenOf(focused)?.focus({ preventScroll: true });
    else if (active && active !== 'token')
      this.#parts.stage.querySelector<HTMLElement>(`[data-testid="${active}"]`)?.focus();
  }

  #tokenOf({ pane, side, index }: Selected): HTMLElement | null | undefined {
    return this.#parts.stage
      .querySelectorAll('[data-testid=pane]')
      [pane]?.querySelector<HTMLElement>(`[data-side=${side}][data-index="${index}"]`);
  }

  #select(selected: Selected): void {
    const { pane, side, index } = selected;
    if (this.#selected?.pane === pane && this.#selected.side === side && this.#selected.index === index)
      return;
    for (const stop of this.#parts.stage.querySelectorAll('[data-testid=token][tabindex="0"]')) {
      stop.setAttribute('tabindex', '-1');
      stop.removeAttribute('aria-pressed');
    }
    this.#selected = selected;
    const token = this.#tokenOf(selected);
    token?.setAttribute('tabindex', '0');
    token?.setAttribute('aria-pressed', 'true');
    this.#renderTokenTool();
  }

  #renderTokenTool(): void {
    if (this.#store.state.tool === 'token') this.#renderTool();
  }

  #renderTool(): void {
    const { tool } = this.#store.state;
    fill(
      this.#parts.tabs,
      toolTabs(tool, (chosen) => this.#store.set({ tool: chosen })),
    );
    this.#parts.app.dataset.tool = tool;
    const made = this.#tool(tool);
    if (this.#parts.tool.firstChild !== made) fill(this.#parts.tool, made);
  }

  #tool(tool: Tool): HTMLElement {
    const fail = (error: unknown) => this.#fail(sentence(error));
    switch (tool) {
      case 'token':
        return this.#inspector();
      case 'charts':
        return chartsPanel({
          panes: this.#panesWithScores(),
          pair: this.#store.state.pair,
          statistics: new Map(
            this.#store.state.panes.map(({ source }) => [
              this.#name(source),
              this.#statistics.get(source) ?? [],
            ]),
          ),
          runs: this.#library.runs,
          openPair: (pair) => this.#openPair(pair),
        });
      case 'edit':
        return editor(this.#pairText(), {
          onChange: (edited) => this.#store.set({ edited }),
          writers: this.#library.models.map(({ id, name }) => [id, name]),
          generate: async (model, prompt, onText) => {
            try {
              await this.#load(model);
              const seed = Date.now() % 1e6;
              return await this.#engine.generate(
                { model, prompt, maxTokens: 60, temperature: 0.8, seed },
                proxy(onText),
              );
            } catch (error) {
              fail(error);
              return '';
            }
          },
        });
      case 'train':
        if (!this.#isOpen) return this.#waiting('Training');
        this.#training ??= this.#newTraining(fail);
        return this.#training.element;
      case 'playground':
        if (!this.#isOpen) return this.#waiting('The playground');
        this.#playground ??= playground(this.#engine, this.#methods, fail);
        return this.#playground;
      case 'files':
        this.#files.list();
        return this.#files.element;
    }
  }

  #waiting(what: string): HTMLElement {
    const text =
      this.#noEngine === undefined
        ? `${what} comes with the engine, which is starting.`
        : `${what} needs WebGPU. ${this.#noEngine}`;
    return h('p', { class: 'quiet' }, text);
  }

  #inspector(): HTMLElement {
    const { panes } = this.#store.state;
    const at = this.#selected ?? { pane: 0, side: 'chosen' as const, index: -1 };
    const pane = panes[at.pane] ?? panes[0];
    const { scored } = this.#shownIn(pane);
    if (scored === undefined)
      return h('p', { class: 'quiet' }, 'Point at a token, or move to it with the arrow keys.');
    const selected = at.index >= 0 && at.index < scored[at.side].token_ids.length ? at : mostDecisive(scored);
    return inspector(this.#name(pane.source), scored, selected.side, selected.index);
  }

  #newTraining(fail: (error: unknown) => void): TrainingPanel {
    return new TrainingPanel(this.#engine, {
      methods: this.#methods,
      pairs: () => this.#library.rows.pairs,
      watch: () => this.#pairText(),
      prepare: () => this.#load('reference'),
      fail,
      onWatched: (text, method, scored) => {
        const pane = { source: 'policy', reference: 'reference', method: undefined };
        this.#known.set(JSON.stringify(['policy', 'reference', method, text]), { scored, live: true });
        const { panes } = this.#store.state;
        if (!panes.some(({ source }) => source === 'policy'))
          this.#store.set({ panes: [...panes, pane].slice(-MOST_PANES) });
        else this.#renderStage();
      },
      onModel: (method) => this.#trainedModel(method),
      onFinished: (name, method, files, metrics) => {
        const run = this.#library.newId('tab');
        const id = `${run}.0`;
        this.#library.add({
          kind: 'model',
          id,
          name,
          origin: 'trained in this tab',
          source: { kind: 'files', files },
          method,
          run,
        });
        this.#library.addRun({ id: run, name, metrics, models: [id] });
        this.#renderStage();
      },
    });
  }

  /** The model in training has come, or is gone. */
  #trainedModel(method: MethodChoice | undefined): void {
    for (const key of this.#known.keys()) if (key.startsWith('["policy"')) this.#known.delete(key);
    this.#statistics.delete('policy');
    if (method !== undefined) {
      this.#library.add({
        kind: 'model',
        id: 'policy',
        name: 'in training',
        origin: 'this tab',
        source: undefined,
        method,
      });
      return;
    }
    this.#library.remove('policy');
    const rest = this.#store.state.panes.filter(({ source }) => source !== 'policy');
    this.#store.set({ panes: rest.length > 0 ? rest : [paneOf(FIRST_MODEL)] });
  }

  #panesWithScores() {
    return this.#store.state.panes.flatMap((pane) => {
      const { scored } = this.#shownIn(pane);
      return scored === undefined ? [] : [{ name: this.#name(pane.source), scored }];
    });
  }

  #name(id: string): string {
    return (this.#library.find(id) as Entry | undefined)?.name ?? id;
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

/** The token that adds most to the margin, or takes most away. */
function mostDecisive({ chosen, rejected }: ScoredPair): { side: 'chosen' | 'rejected'; index: number } {
  const largest = (values: readonly number[] = []) =>
    values.reduce((best, value, i) => (Math.abs(value) > Math.abs(values[best]) ? i : best), 0);
  const [c, r] = [largest(chosen.contributions), largest(rejected.contributions)];
  const isChosen = Math.abs(chosen.contributions?.[c] ?? 0) >= Math.abs(rejected.contributions?.[r] ?? 0);
  return isChosen ? { side: 'chosen', index: c } : { side: 'rejected', index: r };
}

function sameText(a: PairText, b: PairText): boolean {
  return a.prompt === b.prompt && a.chosen === b.chosen && a.rejected === b.rejected;
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
