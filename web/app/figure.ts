/** Still charts by Observable Plot, loaded when the first one is drawn. */
import type * as Plot from '@observablehq/plot';
import { fill, h } from './dom.ts';

export type PlotMarks = typeof Plot;

/**
 * A figure under a title that says what one sees.
 * @param describe the plot's options, from Plot's marks
 * @param marks told which dot or bar was clicked, or pointed at, by its number in the data
 */
export function figure(
  title: string,
  testid: string,
  describe: (plot: PlotMarks) => Plot.PlotOptions,
  { onClick, onPoint }: { onClick?(index: number): void; onPoint?(index: number): void } = {},
): HTMLElement {
  const body = h('div', { class: 'plot-body' });
  const element = h('figure', { class: 'chart', 'data-testid': testid }, h('figcaption', {}, title), body);
  void import('@observablehq/plot').then((plot) => {
    const width = Math.max(280, Math.min(520, body.clientWidth || 340));
    const drawn = plot.plot({
      width,
      height: 210,
      style: { background: 'none', color: 'currentColor' },
      ...describe(plot),
    });
    // Plot's own style sheet is inline, which the page's policy refuses; style.css has the same rules.
    for (const style of drawn.querySelectorAll('style')) style.remove();
    for (const part of drawn.querySelectorAll('[aria-label]')) part.removeAttribute('aria-label');
    drawn.setAttribute('role', 'img');
    drawn.setAttribute('aria-label', title);
    drawn.querySelectorAll('circle, rect').forEach((mark, i) => {
      mark.classList.toggle('clickable', onClick !== undefined);
      if (onClick !== undefined) mark.addEventListener('click', () => onClick(i));
      if (onPoint !== undefined) mark.addEventListener('pointerenter', () => onPoint(i));
    });
    fill(body, drawn);
  });
  return element;
}
