/** Training in the tab: choose, run, pause, step, reset, download; curves and token colours move with every step. */
import { proxy, type Remote } from 'comlink';
import type {
  EngineApi,
  MethodChoice,
  MethodSummary,
  NamedFile,
  PairText,
  ScoredPair,
  StepReport,
} from '../worker/protocol.ts';
import { type Chart, chart, removeCharts } from './charts.ts';
import { FIRST_METHOD } from './content.ts';
import { button, choice, fill, h } from './dom.ts';
import { download } from './export.ts';
import { settingField } from './settings.ts';
import { number } from './views.ts';

export interface TrainingOptions {
  readonly methods: readonly MethodSummary[];
  pairs(): readonly PairText[];
  /** The pair whose colours move. */
  watch(): PairText;
  /** Loads what training starts from. */
  prepare(): Promise<void>;
  fail(error: unknown): void;
  onWatched(text: PairText, method: MethodChoice, scored: ScoredPair): void;
  /** The model in training has come, with its method, or is gone. */
  onModel(method: MethodChoice | undefined): void;
  /** A run has done all of its steps. */
  onFinished(
    name: string,
    method: MethodChoice,
    files: readonly NamedFile[],
    metrics: readonly Readonly<Record<string, number>>[],
  ): void;
}

/** What is drawn, one chart a line. */
const CURVES: readonly (readonly string[])[] = [
  ['loss'],
  ['rewards/margins', 'rewards/chosen', 'rewards/rejected'],
  ['rewards/accuracies'],
  ['grad_norm'],
  ['tokens/s'],
  ['MiB on the GPU'],
];

/** What a report says, by the names of curves. */
function curveValues({ metrics, tokensPerSecond, gpuBytes }: StepReport): Readonly<Record<string, number>> {
  return { ...metrics, 'tokens/s': tokensPerSecond, 'MiB on the GPU': gpuBytes / 2 ** 20 };
}

/** Curves wide enough for the panel. */
const CURVE_WIDTH = 340;

export class TrainingPanel {
  readonly element: HTMLElement;
  readonly #engine: Remote<EngineApi>;
  readonly #options: TrainingOptions;
  readonly #curves = h('div', { class: 'charts' });
  readonly #status = h('p', { 'data-testid': 'train-status', 'aria-live': 'polite' }, 'not started');
  readonly #settings = h('div', { class: 'settings' });
  readonly #bmc = h('input', { type: 'checkbox', 'data-testid': 'train-bmc', checked: true });
  readonly #rate = numberField('learning rate', 'train-lr', 1e-4);
  readonly #batch = numberField('batch size', 'train-batch', 4);
  readonly #steps = numberField('steps', 'train-steps', 30);
  readonly #charts = new Map<readonly string[], Chart>();
  #method: MethodSummary;
  #values: Record<string, unknown> = {};
  #reports: StepReport[] = [];
  /** The run that is prepared; undefined before and after. */
  #run: { readonly method: MethodChoice; readonly watch: PairText; readonly steps: number } | undefined;
  /** Pressed Train and has not ended: a hidden tab only interrupts it. */
  #isRunning = false;
  #finished = 0;

  constructor(engine: Remote<EngineApi>, options: TrainingOptions) {
    this.#engine = engine;
    this.#options = options;
    const { methods } = options;
    this.#method = methods.find(({ name }) => name === FIRST_METHOD.name) ?? methods[0];
    this.#showSettings();
    this.element = this.#form(methods);
    // A hidden tab is slowed down by the browser, and its GPU work by the driver: the run waits until one looks again.
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) void engine.pause();
      else if (this.#isRunning) this.#guarded(() => this.#train());
    });
  }

  #form(methods: readonly MethodSummary[]): HTMLElement {
    const names = methods
      .filter(({ rows }) => rows !== 'labels')
      .map(({ name }): [string, string] => [name, name]);
    const action = (text: string, testid: string, run: () => Promise<unknown>, kind?: string) =>
      button(text, { 'data-testid': testid, class: kind }, () => this.#guarded(run));
    return h(
      'div',
      { class: 'form' },
      h(
        'div',
        { class: 'stepper' },
        action('Train', 'train', () => this.#train(), 'primary'),
        action('Pause', 'pause', () => this.#pause()),
        action('Step', 'step', () => this.#step()),
        action('Reset', 'reset', () => this.#reset()),
        action('Download', 'download', () => this.#download()),
      ),
      this.#status,
      choice('method', 'train-method', names, this.#method.name, (name) => {
        this.#method = methods.find((m) => m.name === name) ?? this.#method;
        this.#showSettings();
      }),
      h('label', { class: 'toggle' }, this.#bmc, 'BMC token weights'),
      this.#settings,
      h('div', { class: 'settings' }, this.#rate.field, this.#batch.field, this.#steps.field),
      this.#curves,
    );
  }

  #guarded(run: () => Promise<unknown>): void {
    void run().catch((error: unknown) => {
      fill(this.#status, 'failed');
      this.#options.fail(error);
    });
  }

  #showSettings(): void {
    this.#values = this.#method.name === FIRST_METHOD.name ? { ...FIRST_METHOD.settings } : {};
    fill(this.#settings, ...this.#method.settings.map((setting) => settingField(setting, this.#values)));
    this.#bmc.disabled = !this.#method.takesBmc;
  }

  async #prepare(): Promise<void> {
    if (this.#run !== undefined) return;
    this.#clear();
    fill(this.#status, 'preparing: loading the model that training starts from');
    await this.#options.prepare();
    const takesBmc = this.#bmc.checked && this.#method.takesBmc;
    const method: MethodChoice = {
      name: this.#method.name,
      settings: { ...this.#values },
      ...(takesBmc ? { bmc: {} } : {}),
    };
    const run = { method, watch: this.#options.watch(), steps: this.#steps.value() };
    const onProgress = (text: string) => fill(this.#status, text === '' ? 'kernels are compiled' : text);
    await this.#engine.prepareTraining(
      {
        method,
        learningRate: this.#rate.value(),
        batchSize: this.#batch.value(),
        steps: run.steps,
        seed: 42,
        start: 'reference',
        pairs: [...this.#options.pairs()],
        watch: run.watch,
      },
      proxy(onProgress),
    );
    this.#run = run;
    this.#options.onModel(method);
  }

  async #train(): Promise<void> {
    await this.#prepare();
    this.#isRunning = true;
    const outcome = await this.#engine.train(proxy((report: StepReport) => this.#onStep(report)));
    this.#isRunning = document.hidden && outcome === 'paused' && this.#isRunning;
    this.#status.append(this.#isRunning ? ' (waiting: the tab is hidden)' : ` (${outcome})`);
    if (outcome === 'finished') await this.#keep();
  }

  async #step(): Promise<void> {
    await this.#prepare();
    this.#onStep(await this.#engine.step());
  }

  #pause(): Promise<void> {
    this.#isRunning = false;
    return this.#engine.pause();
  }

  async #reset(): Promise<void> {
    await this.#pause();
    await this.#engine.resetTraining();
    this.#run = undefined;
    this.#clear();
    fill(this.#status, 'not started');
    this.#options.onModel(undefined);
  }

  /** The finished model stays to be compared with, also when another run begins. */
  async #keep(): Promise<void> {
    if (this.#run === undefined) return;
    const { method } = this.#run;
    const files = await this.#engine.exportPolicy();
    const metrics = this.#reports.map(({ step, metrics }) => ({ step, ...metrics }));
    const name = `run ${++this.#finished}: ${method.name}${method.bmc === undefined ? '' : ' with BMC'}`;
    this.#options.onFinished(name, method, files, metrics);
  }

  async #download(): Promise<void> {
    const metrics = this.#reports.map(({ step, metrics }) => JSON.stringify({ step, ...metrics }));
    for (const { path, file } of await this.#engine.exportPolicy()) download(path, file);
    download('metrics.jsonl', new Blob([`${metrics.join('\n')}\n`], { type: 'application/x-ndjson' }));
  }

  #onStep(report: StepReport): void {
    this.#reports.push(report);
    const { step, metrics, tokensPerSecond, gpuBytes } = report;
    fill(
      this.#status,
      `step ${step} of ${this.#run?.steps}, loss ${number(metrics.loss)}, ${tokensPerSecond.toFixed(0)} tokens/s, ` +
        `${(gpuBytes / 2 ** 20).toFixed(0)} MiB on the GPU`,
    );
    if (report.watched !== undefined && this.#run !== undefined)
      this.#options.onWatched(this.#run.watch, this.#run.method, report.watched);
    this.#draw();
  }

  #draw(): void {
    const x = this.#reports.map(({ step }) => step);
    const rows = this.#reports.map(curveValues);
    for (const names of CURVES) {
      const known = names.filter((name) => rows.some((row) => name in row));
      const series = known.map((name) => ({ name, values: rows.map((row) => row[name] ?? null) }));
      const drawn = this.#charts.get(names);
      if (drawn !== undefined) drawn.update(x, series);
      else if (known.length > 0) {
        const made = chart(known.join(', '), { name: 'optimizer step', values: x }, series, {
          testid: 'curve',
          width: CURVE_WIDTH,
        });
        this.#charts.set(names, made);
        this.#curves.append(made.element);
      }
    }
  }

  #clear(): void {
    this.#reports = [];
    this.#charts.clear();
    removeCharts(this.#curves);
    fill(this.#curves);
  }
}

function numberField(label: string, testid: string, start: number) {
  const input = h('input', { type: 'number', step: 'any', min: 0, value: start, 'data-testid': testid });
  return {
    field: h('label', { class: 'field' }, h('span', {}, label), input),
    value: () => Number(input.value),
  };
}
