/**
 * Loss and gradient weight of a method over the policy's gap, one curve per K of the reference (MIPO, Figure 6); the loss
 * where the policy still is the reference, over K (Figure 5); the beta that epsilon-DPO gives every pair; BMC's weight over a
 * token's probability. All by the production kernels.
 */
import type { Remote } from 'comlink';
import type { EngineApi, MethodSummary } from '../worker/protocol.ts';
import { chart, removeCharts, type Series } from './charts.ts';
import { FIRST_PLAYGROUND_METHOD } from './content.ts';
import { choice, fill, h } from './dom.ts';
import { latestOnly } from './latest.ts';
import { curvesOverGap, lossAtStart } from './loss-curves.ts';
import { settingSlider, slider } from './settings.ts';

/** Of a token, for BMC's weight. */
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
    const curves = await curvesOverGap(engine, drawn, values);
    const start = drawn.needsReference ? await lossAtStart(engine, drawn, values) : undefined;
    // Settings of one method mean nothing to another; its own curves are on their way.
    if (drawn !== method) return;
    const x = { name: 'gap of mean log-probs under the policy, nats', values: curves.x };
    const line = (title: string, series: readonly Series[], testid: string) =>
      chart(title, x, series, { testid }).element;
    removeCharts(charts);
    fill(
      charts,
      line('loss; dashed: the gap that is asked for', curves.loss, 'playground'),
      line('gradient weight', curves.gradient, 'playground-gradient'),
      ...(start === undefined
        ? []
        : [
            chart(
              'loss before training, where the policy is the reference',
              { name: 'K of the reference, nats', values: start.x },
              [{ name: 'loss', values: start.loss }],
              { testid: 'playground-start' },
            ).element,
          ]),
      ...(curves.beta === undefined ? [] : [line('β of the pair', curves.beta, 'playground-beta')]),
    );
  }, fail);
  const show = () => {
    values = {};
    fill(settings, ...method.settings.map((setting) => settingSlider(setting, values)));
    fill(formula, `${inGreek(method.formula)}  —  ${method.paper}`);
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

const GREEK = {
  alpha: 'α',
  beta: 'β',
  gamma: 'γ',
  delta: 'δ',
  epsilon: 'ε',
  lambda: 'λ',
  sigma: 'σ',
  tau: 'τ',
} as const;

/** Letters as papers print them; `sigmoid` is no `sigma`. */
function inGreek(formula: string): string {
  return formula.replace(
    /\b(alpha|beta|gamma|delta|epsilon|lambda|sigma|tau)(?![a-z])/g,
    (name) => GREEK[name as keyof typeof GREEK],
  );
}

/** BMC's lambda of a varied token against its probability under the policy, for a delta. */
function weightOfTokens(engine: Remote<EngineApi>, fail: (error: unknown) => void): HTMLElement {
  const charts = h('div', { class: 'charts' });
  const draw = latestOnly(async (delta: number) => {
    const lambda = await engine.lambda({ delta, probabilities: PROBABILITIES });
    const x = { name: 'probability of the token', values: PROBABILITIES };
    const series = [{ name: 'λ', values: lambda }];
    removeCharts(charts);
    fill(charts, chart('BMC: λ of a varied token', x, series, { testid: 'playground-lambda' }).element);
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
