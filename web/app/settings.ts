/** Fields for the settings of a method. */
import type { SettingSummary } from '../worker/protocol.ts';
import { choice, h } from './dom.ts';
import { number } from './views.ts';

/** A field for one setting of a method; what the user changes lands in `values`. */
export function settingField(setting: SettingSummary, values: Record<string, unknown>): HTMLElement {
  const { name, kind, description, minimum, maximum } = setting;
  const start = values[name] ?? setting.default;
  if (kind === 'choice' || kind === 'boolean') {
    const options = kind === 'boolean' ? ['true', 'false'] : (setting.choices ?? []);
    const field = choice(
      name,
      `setting-${name}`,
      options.map((v) => [v, v]),
      String(start),
      (value) => {
        values[name] = kind === 'boolean' ? value === 'true' : value;
      },
    );
    field.title = description;
    return field;
  }
  const input = h('input', {
    type: 'number',
    step: 'any',
    min: minimum,
    max: maximum,
    value: start === undefined ? undefined : String(start),
    'data-testid': `setting-${name}`,
  });
  input.addEventListener('input', () => {
    values[name] = Number(input.value);
  });
  return h('label', { class: 'field', title: description }, h('span', {}, name), input);
}

/** Steps of a slider from end to end. */
const STEPS = 200;

/** The same as a slider where the setting is a number; without a largest value it ends at ten times the default. */
export function settingSlider(setting: SettingSummary, values: Record<string, unknown>): HTMLElement {
  const { name, kind, minimum = 0, maximum, description } = setting;
  if (kind === 'choice' || kind === 'boolean') return settingField(setting, values);
  const start = Number(values[name] ?? setting.default ?? minimum);
  const span = (maximum ?? Math.max(1, 10 * start)) - minimum;
  // Bounds may be exclusive: the slider stays one step away from both.
  const step = span / STEPS;
  return slider(
    { label: name, testid: `setting-${name}`, title: description },
    { from: minimum + step, to: minimum + span - step, start, isWhole: kind === 'integer' },
    (value) => {
      values[name] = value;
    },
  );
}

/** A slider with its value beside it. */
export function slider(
  { label, testid, title }: { label: string; testid: string; title: string },
  { from, to, start, isWhole = false }: { from: number; to: number; start: number; isWhole?: boolean },
  onValue: (value: number) => void,
): HTMLElement {
  const parse = (text: string) => (isWhole ? Math.round(Number(text)) : Number(text));
  const input = h('input', {
    type: 'range',
    min: isWhole ? Math.ceil(from) : from,
    max: isWhole ? Math.floor(to) : to,
    step: isWhole ? 1 : 'any',
    value: start,
    'data-testid': testid,
  });
  const shown = h('output', {}, number(start));
  input.addEventListener('input', () => {
    const value = parse(input.value);
    shown.replaceChildren(number(value));
    onValue(value);
  });
  return h('label', { class: 'field', title }, h('span', {}, label, ' ', shown), input);
}
