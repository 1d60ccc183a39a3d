/** The page's controller: what changes the state, and what a change of the state draws. */
import { proxy, type Remote, wrap } from 'comlink';
import type { EngineApi } from '../worker/protocol.ts';
import { shippedModels } from './content.ts';
import { fill, h } from './dom.ts';
import { droppedItems, FilesPanel } from './files-panel.ts';
import { frame } from './frame.ts';
import { keySheet, moveBetweenTokens } from './keyboard.ts';
import { Library, type Rows } from './library.ts';
import type { Item } from './opened.ts';
import { PairList } from './pair-list.ts';
import { Scores } from './scores.ts';
import { sentence } from './sentence.ts';
import { servedItems } from './served.ts';
import { expandScores, type ShippedScores } from './shipped.ts';
import { type Selected, stage } from './stage.ts';
import { MOST_PANES, type State, Store, TOOLS, toHash } from './state.ts';
import { take } from './take.ts';
import { toolTabs } from './tool-tabs.ts';
import { Tools } from './tools.ts';
import { VIEWS } from './views.ts';

export class Page {
  readonly #store = new Store(location.hash);
  readonly #engine: Remote<EngineApi>;
  readonly #enginePort: MessagePort;
  readonly #library = new Library();
  readonly #scores: Scores;
  readonly #list: PairList;
  readonly #files: FilesPanel;
  readonly #tools: Tools;
  readonly #keys = keySheet();
  #selected: Selected | undefined;
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
    // The engine's calls wait in the channel until its worker has been started, after the first colours.
    const { port1, port2 } = new MessageChannel();
    this.#enginePort = port2;
    this.#engine = wrap<EngineApi>(port1);
    const [engine, store, library] = [this.#engine, this.#store, this.#library];
    const fail = (error: unknown) => this.#fail(sentence(error));
    this.#scores = new Scores({
      engine,
      library,
      onScored: () => {
        this.#renderStage();
        this.#renderTokenTool();
      },
      onCounted: (progress) => {
        this.#counting = progress;
        this.#renderList();
        if (store.state.tool === 'charts' && progress === '') this.#renderTool();
      },
      fail,
    });
    this.#list = new PairList({ open: (pair) => this.#openPair(pair) });
    this.#files = new FilesPanel({ library, take: (items) => this.#take(items), fail });
    this.#tools = new Tools({
      engine,
      store,
      library,
      scores: this.#scores,
      files: this.#files,
      selected: () => this.#selected,
      select: (token) => this.#select(token),
      noEngine: () => this.#noEngine,
      fail,
      renderStage: () => this.#renderStage(),
    });
  }

  async start(root: Element): Promise<void> {
    for (const entry of shippedModels(location.href)) this.#library.add(entry);
    this.#store.subscribe((state, before) => this.#changed(state, before));
    const shipped = expandScores((await (await fetch('./scores.json')).json()) as ShippedScores);
    this.#scores.shipped = shipped;
    this.#library.rows = { name: 'story openings', origin: 'bundled example', pairs: shipped.pairs };
    // In one task with what it shows, so that nothing moves when it comes.
    frame(root, {
      ...this.#parts,
      list: this.#list.element,
      keys: this.#keys,
      set: (change) => this.#store.set(change),
    });
    if (this.#store.state.tool !== 'token') this.#openSheet();
    this.#listen();
    this.#renderAll();
    await painted();
    this.#startWorker();
    await this.#openEngine();
  }

  #startWorker(): void {
    const worker = new Worker(new URL('../worker/worker.ts', import.meta.url), { type: 'module' });
    worker.addEventListener('error', (event) => this.#fail(`The engine could not start: ${event.message}`));
    worker.postMessage(this.#enginePort, [this.#enginePort]);
  }

  #listen(): void {
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
    const { progress, adapter: badge, source } = this.#parts;
    try {
      this.#tools.methods = await this.#engine.methods();
      await this.#engine.onProgress(proxy((text: string) => fill(progress, text)));
      const adapter = await this.#engine.open();
      fill(badge, `${adapter.description}${adapter.isFallback ? ' (CPU)' : ''}`);
      await this.#engine.onDeviceLost(proxy((reason: string) => void this.#lost(reason)));
      this.#scores.isOpen = true;
      const items = await servedItems(location.href);
      if (items.length > 0) fill(source, await this.#take(items));
      await this.#scores.score(this.#store.state);
      this.#renderAll();
      await this.#scores.count(this.#store.state.panes);
    } catch (error) {
      this.#noEngine = sentence(error);
      this.#fail(this.#noEngine);
      fill(badge, 'no engine: shipped scores only');
      this.#renderTool();
    }
  }

  async #lost(reason: string): Promise<void> {
    this.#fail(`The GPU was taken away (${reason}). Opening it again; a run in this tab has ended.`);
    this.#scores.forgetModels();
    this.#tools.forgetTraining();
    await this.#openEngine();
  }

  #changed(state: State, before: State): void {
    const hash = toHash(state);
    if (hash !== location.hash)
      history.replaceState(null, '', hash === '' ? location.pathname + location.search : hash);
    const isOther =
      state.pair !== before.pair || state.panes !== before.panes || state.edited !== before.edited;
    if (state.pair !== before.pair) this.#selected = undefined;
    if (isOther) void this.#scores.score(state);
    if (state.panes !== before.panes) void this.#scores.count(state.panes);
    if (state.pair !== before.pair) this.#list.select(state.pair);
    this.#renderStage();
    if (state.tool !== before.tool) this.#openSheet();
    if (state.tool !== before.tool || isOther) this.#renderTool();
    if (state.tool !== before.tool) this.#parts.tool.parentElement?.scrollTo(0, 0);
  }

  #openPair(pair: number): void {
    this.#store.set({ pair, edited: undefined });
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

  /** Takes what was opened into the library and shows it. @returns a line on it */
  async #take(items: readonly Item[]): Promise<string> {
    const { said, panes, isForCharts } = await take(items, {
      library: this.#library,
      readPairs: (name, file) => this.#engine.readPairs(name, file),
      load: (id) => this.#scores.load(id),
      showRows: (rows) => this.#showRows(rows),
    });
    this.#parts.error.hidden = true;
    fill(this.#parts.error);
    if (isForCharts) this.#store.set({ tool: 'charts' });
    if (panes.length > 0) this.#store.set({ panes: panes.slice(-MOST_PANES), edited: undefined });
    else this.#renderAll();
    return said;
  }

  #showRows(rows: Rows): void {
    this.#library.rows = rows;
    this.#scores.forgetRows();
    this.#selected = undefined;
    this.#counting = '';
    // The pair's number may stay what it was, the pair does not.
    this.#store.set({ pair: 0, edited: undefined });
    const { state } = this.#store;
    void this.#scores.score(state);
    void this.#scores.count(state.panes);
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
    this.#list.show(this.#library.rows, this.#scores.statistics(first.source), this.#counting);
  }

  #renderStage(): void {
    const { state } = this.#store;
    const shown = state.panes.map((pane) => ({ pane, ...this.#scores.shown(pane, state) }));
    const origins = shown.map(({ pane, scored, live }) => {
      const entry = this.#library.find(pane.source);
      const from = live ? 'live: ' : scored && entry?.kind === 'model' ? 'shipped: ' : '';
      return `${from}${entry?.origin ?? 'nothing'}`;
    });
    fill(this.#parts.source, [...new Set(origins)].join(', '));
    const restore = remembered(this.#parts.stage);
    const isToken = document.activeElement?.getAttribute('data-testid') === 'token';
    const focused = isToken ? this.#selected : undefined;
    fill(
      this.#parts.stage,
      ...stage({
        state,
        text: this.#scores.textOf(state),
        rows: this.#library.rows,
        shown: shown.map((one) => ({
          ...one,
          effective: this.#scores.methodOf(one.pane),
          entry: this.#library.find(one.pane.source),
        })),
        library: this.#library,
        methods: this.#tools.methods,
        selected: this.#selected,
        set: (change) => this.#store.set(change),
        onToken: (selected) => this.#select(selected),
        onTap: () => this.#openSheet(),
      }),
    );
    restore();
    if (focused !== undefined) this.#tokenOf(focused)?.focus({ preventScroll: true });
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
      toolTabs(tool, (chosen) => {
        this.#openSheet();
        this.#store.set({ tool: chosen });
      }),
    );
    this.#parts.app.dataset.tool = tool;
    const made = this.#tools.element();
    if (this.#parts.tool.firstChild !== made) fill(this.#parts.tool, made);
  }

  /** A phone has the tools in a sheet, which is closed while one reads. */
  #openSheet(): void {
    this.#parts.app.dataset.sheet = 'open';
  }

  #fail(message: string): void {
    this.#parts.error.hidden = false;
    fill(this.#parts.error, message);
  }
}

/** What is focused and unfolded in an element whose contents are made anew. @returns puts it back */
function remembered(inside: HTMLElement): () => void {
  const active = document.activeElement;
  const testid = active instanceof HTMLElement && active.dataset.testid;
  const same = () => [...inside.querySelectorAll<HTMLElement>(`[data-testid="${testid}"]`)];
  const at = testid && testid !== 'token' ? same().indexOf(active) : -1;
  const details = () => [...inside.querySelectorAll('details')];
  const unfolded = details().map(({ className, open }) => `${className} ${open}`);
  return () => {
    if (at >= 0) same()[at]?.focus({ preventScroll: true });
    const now = details();
    if (now.length !== unfolded.length) return;
    for (const [i, element] of now.entries()) element.open = unfolded[i] === `${element.className} true`;
  };
}

/** Resolves when what was drawn is on the screen; a tab in the background draws nothing, and does not wait. */
function painted(): Promise<void> {
  if (document.hidden) return Promise.resolve();
  return new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
}
