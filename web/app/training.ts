/**
 * Training in the tab, like a small lab: run, pause, step, reset; curves and token colours move with every step; a run goes on
 * after a reload, is compared with another one, and is downloaded as a directory that `prefgrad` continues.
 */
import { proxy, type Remote } from 'comlink';
import type {
  EngineApi,
  KeptRun,
  MethodChoice,
  MethodSummary,
  NamedFile,
  PairText,
  ScoredPair,
  StepReport,
} from '../worker/protocol.ts';
import { button, fill, h } from './dom.ts';
import { download } from './export.ts';
import { pointOf, TrainingCurves } from './training-curves.ts';
import { TrainingForm } from './training-form.ts';
import { number } from './views.ts';

export interface TrainingOptions {
  readonly methods: readonly MethodSummary[];
  /** Models to start from, by id and name. */
  readonly starts: readonly (readonly [string, string])[];
  pairs(): readonly PairText[];
  /** The pair whose colours move. */
  watch(): PairText;
  /** Loads what training starts from, where the library has it. */
  prepare(start: string): Promise<void>;
  fail(error: unknown): void;
  onWatched(text: PairText, run: RunInTab, scored: ScoredPair): void;
  /** The model in training has come, or is gone. */
  onModel(run: RunInTab | undefined): void;
  /** A run has done all of its steps. */
  onFinished(run: FinishedRun): void;
  /** Shows finished runs beside each other. */
  compare(): void;
}

/** The run that is prepared. */
export interface RunInTab {
  readonly start: string;
  readonly method: MethodChoice;
  readonly watch: PairText | undefined;
  readonly steps: number;
}

export interface FinishedRun extends RunInTab {
  readonly name: string;
  readonly files: readonly NamedFile[];
  readonly metrics: readonly Readonly<Record<string, number>>[];
}

export class TrainingPanel {
  readonly element: HTMLElement;
  readonly #engine: Remote<EngineApi>;
  readonly #options: TrainingOptions;
  readonly #form: TrainingForm;
  readonly #curves = new TrainingCurves();
  readonly #status = h('p', { 'data-testid': 'train-status', 'aria-live': 'polite' }, 'not started');
  readonly #kept = h('p', { class: 'quiet', 'data-testid': 'train-kept' });
  readonly #compare: HTMLElement;
  /** undefined before the first step, and after a reset. */
  #run: RunInTab | undefined;
  /** Pressed Train and has not ended: a hidden tab only interrupts it. */
  #isRunning = false;
  #finished = 0;

  constructor(engine: Remote<EngineApi>, options: TrainingOptions) {
    this.#engine = engine;
    this.#options = options;
    this.#form = new TrainingForm(options);
    const action = (text: string, testid: string, run: () => Promise<unknown>, kind?: string) =>
      button(text, { 'data-testid': testid, class: kind }, () => this.#guarded(run));
    this.#compare = button('Compare runs', { 'data-testid': 'compare', hidden: true }, () =>
      options.compare(),
    );
    this.element = h(
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
        this.#compare,
      ),
      this.#status,
      this.#kept,
      this.#form.element,
      this.#curves.element,
    );
    this.#guarded(() => this.#findKept());
    // A hidden tab is slowed down by the browser, and its GPU work by the driver: the run waits until one looks again.
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) void engine.pause();
      else if (this.#isRunning) this.#guarded(() => this.#train());
    });
  }

  #guarded(run: () => Promise<unknown>): void {
    void run().catch((error: unknown) => {
      fill(this.#status, 'failed');
      this.#options.fail(error);
    });
  }

  /** Offers the run that an earlier page has left. */
  async #findKept(): Promise<void> {
    const kept = await this.#engine.keptRun();
    if (kept === undefined || this.#run !== undefined) {
      fill(this.#kept, 'Checkpoints are kept in this browser: a run goes on after a reload.');
      return;
    }
    const { step, request } = kept;
    fill(
      this.#kept,
      `This browser has kept a run of ${request.method.name} at step ${step} of ${request.steps}. `,
      button('Continue it', { 'data-testid': 'continue' }, () => this.#guarded(() => this.#continue(kept))),
    );
  }

  async #continue({ request, metrics }: KeptRun): Promise<void> {
    this.#curves.clear();
    const { start, method, watch, steps } = request;
    await this.#options.prepare(start);
    await this.#engine.continueTraining(proxy((text: string) => this.#progress(text)));
    this.#curves.add(
      ...metrics.map(({ step, ...values }) => ({
        step,
        values: { ...values, 'tokens/s': values.tokens_per_second },
      })),
    );
    this.#opened({ start, method, watch, steps });
    const { step, loss } = metrics[metrics.length - 1];
    fill(this.#status, `step ${step} of ${steps}, loss ${number(loss)} (continued)`);
  }

  async #prepare(): Promise<void> {
    if (this.#run !== undefined) return;
    this.#curves.clear();
    const { choices } = this.#form;
    const { start, method, steps } = choices;
    fill(this.#status, 'preparing: loading the model that training starts from');
    await this.#options.prepare(start);
    const watch = this.#options.watch();
    const request = { ...choices, seed: 42, pairs: [...this.#options.pairs()], watch };
    await this.#engine.prepareTraining(
      request,
      proxy((text: string) => this.#progress(text)),
    );
    this.#opened({ start, method, watch, steps });
  }

  #opened(run: RunInTab): void {
    this.#run = run;
    fill(this.#status, 'prepared: the first step is on its way');
    this.#options.onModel(run);
  }

  /** Comes on a port of its own, and may be late. */
  #progress(text: string): void {
    if (this.#run !== undefined) return;
    fill(this.#status, text === '' ? 'kernels are compiled' : text);
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
    this.#curves.clear();
    fill(this.#status, 'not started');
    this.#options.onModel(undefined);
    await this.#findKept();
  }

  /** The finished model stays to be compared with, also when another run begins. */
  async #keep(): Promise<void> {
    if (this.#run === undefined) return;
    const { name, bmc } = this.#run.method;
    const files = await this.#engine.exportPolicy();
    this.#options.onFinished({
      ...this.#run,
      name: `run ${++this.#finished}: ${name}${bmc === undefined ? '' : ' with BMC'}`,
      files,
      metrics: this.#curves.points.map(({ step, values }) => ({ step, ...values })),
    });
    this.#compare.hidden = this.#finished < 2;
  }

  async #download(): Promise<void> {
    const files = await this.#engine.exportRun();
    const { zipped } = await import('./zip.ts');
    download('prefgrad-run.zip', await zipped(files));
    fill(
      this.#kept,
      'Unpack it and go on with: ',
      h('code', {}, 'prefgrad train prefgrad-run/config.yaml --resume'),
      '; add --set training.max_steps=N for more steps.',
    );
  }

  #onStep(report: StepReport): void {
    const { step, metrics, tokensPerSecond, gpuBytes, watched, isKept } = report;
    this.#curves.add(pointOf(report));
    fill(
      this.#status,
      `step ${step} of ${this.#run?.steps}, loss ${number(metrics.loss)}, ${tokensPerSecond.toFixed(0)} tokens/s, ` +
        `${(gpuBytes / 2 ** 20).toFixed(0)} MiB on the GPU`,
    );
    if (isKept) fill(this.#kept, `Step ${step} is kept in this browser: the run goes on after a reload.`);
    if (watched !== undefined && this.#run?.watch !== undefined)
      this.#options.onWatched(this.#run.watch, this.#run, watched);
  }
}
