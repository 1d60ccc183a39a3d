/** What the colours mean: the scale, and the quantity they stand for. */
import { h } from './dom.ts';
import { number, STEPS, VIEWS, type View } from './views.ts';

/** @param isKnown false when no model on the screen has this quantity */
export function legend(view: View, scale: number, isKnown: boolean): HTMLElement[] {
  const [, , meaning] = VIEWS.find(([name]) => name === view) ?? VIEWS[0];
  const swatches = Array.from({ length: 2 * STEPS + 1 }, (_, i) => {
    const step = i - STEPS;
    return h('span', { class: `swatch ${step === 0 ? 'z0' : `${step < 0 ? 'n' : 'p'}${Math.abs(step)}`}` });
  });
  return [
    h('span', {}, `≤ ${number(-scale)}`),
    h(
      'span',
      { class: 'ramp', role: 'img', 'aria-label': `colours from ${number(-scale)} to ${number(scale)}` },
      ...swatches,
    ),
    h('span', {}, `≥ ${number(scale)}`),
    h('span', { class: 'quiet' }, isKnown ? meaning : 'not known for this method: choose another quantity'),
    h('span', { class: 'quiet' }, h('u', {}, 'underlined'), ' differs from the other answer'),
  ];
}
