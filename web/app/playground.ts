/**
 * Loss and gradient weight of a method over the policy's gap, one curve per K of the reference (MIPO, Figure 6); the loss
 * where the policy still is the reference, over K (Figure 5); the beta that epsilon-DPO gives every pair; BMC's weight over a
 * token's probability. All by the production kernels.
 */
import type { Remote } from 'comlink';
import type { EngineApi, MethodSummary, PlaygroundCurve } from '../worker/protocol.ts';
import { chart, removeCharts } from './charts.ts';
import { FIRST_PLAYGROUND_METHOD } from './content.ts';
import { choice, fill, h } from './dom.ts';
import { latestOnly } from './latest.ts';
import { settingSlider, slider } from './settings.ts';

/** Tokens per answer. */
const LENGTH = 10;
/** Gaps of mean log-probs, chosen minus rejected, under the policy. */
const GAPS = Array.from({ length: 41 }, (_, i) => (i - 20) * 0.075);
/** The same under the reference: MIPO's K, low, none and high. */
const REFERENCE_GAPS = [-1, 0, 1];
/** K of Figure 5. */
const STARTS = GAPS.filter((_, i) => i % 4 === 0);
const sums = (gaps: readonly number[]) => gaps.map((gap) => gap * LENGTH);
const PROBABILITIES = Array.from({ length: 50 }, (_, i) => (i + 0.5) / 50);

export function playground(
  engine: Remote<EngineApi>,
  methods: readonly MethodSummary[],
  fail: (error: unknown) => void,
): HTMLElement {
  const own = methods.filter(({ dependsOnMargin }) => dependsOnMargin);
  if (own.length === 0) return h('p', { class: 'quiet' }, 'The engine is not ready yet.');
  let method = own.find(({ name }) => name === FIRST_PLAYGROUND_METHOD) ?? own[0];
  let values: Record<string, unknown> = {};
  const settings = h('div', { class: 'settings' });
  const formula = h('p', { class: 'formula', 'data-testid': 'formula' });
  const charts = h('div', { class: 'charts' });
  const draw = latestOnly(async (drawn: MethodSummary) => {
    const curves = await engine.playground({
      method: { name: drawn.name, settings: { ...values } },
      margins: sums(GAPS),
      referenceMargins: sums(drawn.needsReference ? REFERENCE_GAPS : [0]),
      length: LENGTH,
    });
    const atStart = drawn.needsReference ? await lossAtStart(engine, drawn, values) : undefined;
    // Settings of one method mean nothing to another; its own curves are on their way.
    if (drawn !== method) return;
    const x = { name: 'gap of mean log-probs under the policy, nats', values: GAPS };
    const line = (title: string, of: (curve: PlaygroundCurve) => readonly number[], testid: string) =>
      chart(
        title,
        x,
        curves.map((curve) => ({
          name: drawn.needsReference ? `K = ${curve.referenceMargin / LENGTH}` : drawn.name,
          values: of(curve),
        })),
        { testid },
      ).element;
    removeCharts(charts);
    fill(
      charts,
      line('loss', (curve) => curve.loss, 'playground'),
      line('gradient weight', (curve) => curve.gradientWeight, 'playground-gradient'),
      ...(atStart === undefined
        ? []
        : [
            chart(
              'loss before training, where the policy is the reference',
              { name: 'K of the reference, nats', values: STARTS },
              [{ name: 'loss', values: atStart }],
              { testid: 'playground-start' },
            ).element,
          ]),
      ...(curves.every(({ betas }) => betas !== undefined)
        ? [line('beta of the pair', ({ betas = [] }) => betas, 'playground-beta')]
        : []),
    );
  }, fail);
  const show = () => {
    values = {};
    fill(settings, ...method.settings.map((setting) => settingSlider(setting, values)));
    fill(formula, `${method.formula}  —  ${method.paper}`);
    draw(method);
  };
  settings.addEventListener('input', () => draw(method));
  settings.addEventListener('change', () => draw(method));
  show();
  return h(
    'div',
    { class: 'form' },
    choice(
      'method',
      'playground-method',
      own.map(({ name }) => [name, name]),
      method.name,
      (name) => {
        method = own.find((m) => m.name === name) ?? method;
        show();
      },
    ),
    settings,
    formula,
    charts,
    weightOfTokens(engine, fail),
  );
}

/** The loss at policy = reference for every K (MIPO, Figure 5). */
async function lossAtStart(
  engine: Remote<EngineApi>,
  { name }: MethodSummary,
  settings: Readonly<Record<string, unknown>>,
): Promise<number[]> {
  const margins = sums(STARTS);
  const method = { name, settings: { ...settings } };
  const curves = await engine.playground({ method, margins, referenceMargins: margins, length: LENGTH });
  return curves.map(({ loss }, i) => loss[i]);
}

/** BMC's lambda of a varied token against its probability under the policy, for a delta. */
function weightOfTokens(engine: Remote<EngineApi>, fail: (error: unknown) => void): HTMLElement {
  const charts = h('div', { class: 'charts' });
  const draw = latestOnly(async (delta: number) => {
    const lambda = await engine.lambda({ delta, probabilities: PROBABILITIES });
    const x = { name: 'probability of the token', values: PROBABILITIES };
    const series = [{ name: 'lambda', values: lambda }];
    removeCharts(charts);
    fill(charts, chart('BMC: lambda of a varied token', x, series, { testid: 'playground-lambda' }).element);
  }, fail);
  const title = 'upper bound of 1/p; the papers use 1.5 to 3';
  draw(2);
  return h(
    'section',
    { class: 'form' },
    slider({ label: "BMC's delta", testid: 'playground-delta', title }, { from: 0, to: 6, start: 2 }, draw),
    charts,
  );
}
