/** Training in the tab: choose, run, pause, step, reset, download; curves and token colours move with every step. */
import { proxy, type Remote } from 'comlink';
import type {
  EngineApi,
  MethodChoice,
  MethodSummary,
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
  readonly pairs: readonly PairText[];
  readonly watch: PairText;
  fail(error: unknown): void;
  onWatched(scored: ScoredPair): void;
  /** The model in training has come, or is gone. */
  onModel(isThere: boolean): void;
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

export function trainingPanel(engine: Remote<EngineApi>, options: TrainingOptions): HTMLElement {
  const { methods, pairs, watch, fail, onWatched, onModel } = options;
  if (methods.length === 0) return h('p', { class: 'quiet' }, 'The engine is not ready yet.');
  const reports: StepReport[] = [];
  const curves = h('div', { class: 'charts' });
  const status = h('p', { 'data-testid': 'train-status', 'aria-live': 'polite' }, 'not started');
  const settings = h('div', { class: 'settings' });
  const bmc = h('input', { type: 'checkbox', 'data-testid': 'train-bmc', checked: true });
  let method = methods.find(({ name }) => name === FIRST_METHOD.name) ?? methods[0];
  let values: Record<string, unknown> = {};
  let isPrepared = false;
  /** Pressed Train and has not ended: a hidden tab only interrupts it. */
  let isRunning = false;
  const showSettings = () => {
    values = { ...(method.name === FIRST_METHOD.name ? FIRST_METHOD.settings : {}) };
    fill(settings, ...method.settings.map((setting) => settingField(setting, values)));
    bmc.disabled = !method.takesBmc;
  };
  showSettings();
  const rate = numberField('learning rate', 'train-lr', 1e-4);
  const batch = numberField('batch size', 'train-batch', 4);
  const steps = numberField('steps', 'train-steps', 30);

  const charts = new Map<readonly string[], Chart>();
  const draw = () => {
    const x = reports.map(({ step }) => step);
    const rows = reports.map(curveValues);
    for (const names of CURVES) {
      const known = names.filter((name) => rows.some((row) => name in row));
      const series = known.map((name) => ({ name, values: rows.map((row) => row[name] ?? null) }));
      const drawn = charts.get(names);
      if (drawn !== undefined) drawn.update(x, series);
      else if (known.length > 0) {
        const made = chart(known.join(', '), { name: 'step', values: x }, series, { testid: 'curve' });
        charts.set(names, made);
        curves.append(made.element);
      }
    }
  };
  const clear = () => {
    reports.length = 0;
    charts.clear();
    removeCharts(curves);
    fill(curves);
  };
  const onStep = (report: StepReport) => {
    reports.push(report);
    fill(
      status,
      `step ${report.step} of ${steps.value()}, loss ${number(report.metrics.loss)}, ${report.tokensPerSecond.toFixed(0)} tokens/s, ` +
        `${(report.gpuBytes / 2 ** 20).toFixed(0)} MiB on the GPU`,
    );
    if (report.watched !== undefined) onWatched(report.watched);
    draw();
  };
  const prepare = async () => {
    if (isPrepared) return;
    fill(status, 'preparing: the reference’s log-probs');
    const choiceOf: MethodChoice = {
      name: method.name,
      settings: values,
      ...(bmc.checked && method.takesBmc ? { bmc: {} } : {}),
    };
    clear();
    await engine.prepareTraining({
      method: choiceOf,
      learningRate: rate.value(),
      batchSize: batch.value(),
      steps: steps.value(),
      seed: 42,
      start: 'reference',
      pairs: [...pairs],
      watch,
    });
    isPrepared = true;
    onModel(true);
  };
  const guarded = (action: () => Promise<unknown>) => () => void action().catch(fail);
  const train = guarded(async () => {
    await prepare();
    isRunning = true;
    const outcome = await engine.train(proxy(onStep));
    isRunning = document.hidden && outcome === 'paused' && isRunning;
    status.append(isRunning ? ' (waiting: the tab is hidden)' : ` (${outcome})`);
  });
  const step = guarded(async () => {
    await prepare();
    onStep(await engine.step());
  });
  const reset = guarded(async () => {
    isRunning = false;
    await engine.pause();
    await engine.resetTraining();
    isPrepared = false;
    clear();
    fill(status, 'not started');
    onModel(false);
  });
  const save = guarded(async () => {
    for (const { path, file } of await engine.exportPolicy()) download(path, file);
  });
  // A hidden tab is slowed down by the browser, and its GPU work by the driver: the run waits until one looks again.
  const onVisibility = () => {
    if (!curves.isConnected) document.removeEventListener('visibilitychange', onVisibility);
    else if (document.hidden) void engine.pause();
    else if (isRunning) train();
  };
  document.addEventListener('visibilitychange', onVisibility);
  return h(
    'div',
    { class: 'form' },
    choice(
      'method',
      'train-method',
      methods.filter(({ rows }) => rows !== 'labels').map(({ name }) => [name, name]),
      method.name,
      (name) => {
        method = methods.find((m) => m.name === name) ?? method;
        showSettings();
      },
    ),
    h('label', { class: 'toggle' }, bmc, 'BMC weights'),
    settings,
    rate.field,
    batch.field,
    steps.field,
    h(
      'div',
      { class: 'stepper' },
      button('Train', { 'data-testid': 'train', class: 'primary' }, train),
      button(
        'Pause',
        { 'data-testid': 'pause' },
        guarded(() => {
          isRunning = false;
          return engine.pause();
        }),
      ),
      button('Step', { 'data-testid': 'step' }, step),
      button('Reset', { 'data-testid': 'reset' }, reset),
      button('Download', { 'data-testid': 'download' }, save),
    ),
    status,
    curves,
  );
}

function numberField(label: string, testid: string, start: number) {
  const input = h('input', { type: 'number', step: 'any', min: 0, value: start, 'data-testid': testid });
  return {
    field: h('label', { class: 'field' }, h('span', {}, label), input),
    value: () => Number(input.value),
  };
}
