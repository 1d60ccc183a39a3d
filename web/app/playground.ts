/** Loss and gradient weight of a method against the policy's margin, one curve per reference margin (MIPO, Figures 5 and 6). */
import type { Remote } from 'comlink';
import type { EngineApi, MethodSummary } from '../worker/protocol.ts';
import { chart } from './charts.ts';
import { choice, fill, h } from './dom.ts';
import { settingField } from './training.ts';

const LENGTH = 10;
/** Policy margins, per answer of LENGTH tokens. */
const MARGINS = Array.from({ length: 41 }, (_, i) => (i - 20) * 0.75);
const REFERENCE_MARGINS = [-10, 0, 10];

export function playground(
  engine: Remote<EngineApi>,
  methods: readonly MethodSummary[],
  fail: (error: unknown) => void,
): HTMLElement {
  const own = methods.filter(({ name }) => !['sft', 'kto', 'figa', 'epsilon-dpo'].includes(name));
  if (own.length === 0) return h('p', { class: 'quiet' }, 'The engine is not ready yet.');
  let method = own.find(({ name }) => name === 'mipo') ?? own[0];
  let values: Record<string, unknown> = {};
  const settings = h('div', { class: 'settings' });
  const formula = h('p', { class: 'formula', 'data-testid': 'formula' });
  const charts = h('div', { class: 'charts' });
  let latest = 0;
  const draw = () => {
    const ticket = ++latest;
    const referenceMargins = method.needsReference ? REFERENCE_MARGINS : [0];
    const request = {
      method: { name: method.name, settings: { ...values } },
      margins: MARGINS,
      referenceMargins,
      length: LENGTH,
    };
    void engine
      .playground(request)
      .then((curves) => {
        if (ticket !== latest) return;
        const x = { name: `policy margin (sum over ${LENGTH} tokens)`, values: MARGINS };
        const name = (margin: number) => (method.needsReference ? `reference margin ${margin}` : method.name);
        for (const old of charts.querySelectorAll('.chart')) old.dispatchEvent(new Event('prefgrad:remove'));
        fill(
          charts,
          chart(
            'loss',
            x,
            curves.map((c) => ({ name: name(c.referenceMargin), values: c.loss })),
            { testid: 'playground' },
          ),
          chart(
            'gradient weight',
            x,
            curves.map((c) => ({ name: name(c.referenceMargin), values: c.gradientWeight })),
          ),
        );
      })
      .catch(fail);
  };
  const show = () => {
    values = {};
    fill(settings, ...method.settings.map((setting) => settingField(setting, values)));
    fill(formula, `${method.formula}  —  ${method.paper}`);
    draw();
  };
  settings.addEventListener('input', draw);
  settings.addEventListener('change', draw);
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
  );
}
