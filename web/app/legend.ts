/** What the colours mean: the scale, the quantity, and what the coloured tokens add up to. */
import { h } from './dom.ts';
import { term } from './terms.ts';
import { isSequential, number, STEPS, VIEWS, type View } from './views.ts';

/** @param isKnown false when nothing on the screen has this quantity */
export function legend(view: View, scale: number, isKnown: boolean, difference: boolean): HTMLElement {
  const [, , meaning] = VIEWS.find(([name]) => name === view) ?? VIEWS[0];
  const classes =
    isSequential(view) && !difference
      ? Array.from({ length: STEPS + 1 }, (_, i) => `s${i}`)
      : Array.from({ length: 2 * STEPS + 1 }, (_, i) => {
          const step = i - STEPS;
          return step === 0 ? 'z0' : `${step < 0 ? 'n' : 'p'}${Math.abs(step)}`;
        });
  const [low, high] = rangeOf(view, scale, difference);
  return h(
    'p',
    { class: 'legend' },
    h('span', { class: 'number' }, low),
    h(
      'span',
      { class: 'ramp', role: 'img', 'aria-label': `colours from ${low} to ${high}` },
      ...classes.map((name) => h('span', { class: `swatch ${name}` })),
    ),
    h('span', { class: 'number' }, high),
    h(
      'span',
      { class: 'quiet' },
      isKnown
        ? `${difference ? 'first model minus second: ' : ''}${meaning}`
        : 'not known for this method: choose another quantity',
    ),
    h('span', { class: 'quiet' }, h('span', { class: 'varied' }, 'underlined'), ' ', term('differs')),
  );
}

function rangeOf(view: View, scale: number, difference: boolean): [string, string] {
  if (difference || !isSequential(view)) return [`≤ ${number(-scale)}`, `≥ ${number(scale)}`];
  if (view === 'lambda') return ['1', `≥ ${number(1 + scale)}`];
  return view === 'logp' || view === 'ref_logp' ? ['0', `≤ ${number(-scale)}`] : ['0', `≥ ${number(scale)}`];
}
