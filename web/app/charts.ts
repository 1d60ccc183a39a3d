/** Live curves, drawn by uPlot on a canvas. */
import type uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { h } from './dom.ts';

/** Colours that colour-blind readers tell apart, by the order of the series. */
const STROKES = ['#d9711c', '#2f6fb5', '#5b8c5a', '#8b5aa8', '#a08a2e', '#6b6b6b'];

export interface Series {
  readonly name: string;
  readonly values: readonly (number | null)[];
}

/** A chart on the page, whose numbers can change. */
export interface Chart {
  readonly element: HTMLElement;
  update(x: readonly number[], series: readonly Series[]): void;
}

/** A chart with one line per series, labelled below. */
export function chart(
  title: string,
  x: { readonly name: string; readonly values: readonly number[] },
  series: readonly Series[],
  { testid, width = 340 }: { testid?: string; width?: number } = {},
): Chart {
  const element = h('figure', { class: 'chart', 'data-testid': testid, role: 'img', 'aria-label': title });
  element.append(h('figcaption', {}, title));
  let data = dataOf(x.values, series);
  let plot: uPlot | undefined;
  let isRemoved = false;
  const scheme = matchMedia('(prefers-color-scheme: dark)');
  const redraw = () => plot?.redraw();
  scheme.addEventListener('change', redraw);
  element.addEventListener('prefgrad:remove', () => {
    isRemoved = true;
    scheme.removeEventListener('change', redraw);
    plot?.destroy();
  });
  // Every chart is drawn in a task of its own, so that many of them never hold up the page.
  void import('uplot').then(({ default: Plot }) =>
    setTimeout(() => {
      if (!isRemoved) plot = new Plot(optionsOf(x, series, width), data, element);
    }, 0),
  );
  return {
    element,
    update(values, next) {
      data = dataOf(values, next);
      setTimeout(() => {
        if (!isRemoved) plot?.setData(data);
      }, 0);
    },
  };
}

function dataOf(x: readonly number[], series: readonly Series[]): uPlot.AlignedData {
  return [Array.from(x), ...series.map(({ values }) => Array.from(values))] as uPlot.AlignedData;
}

function optionsOf(
  x: { readonly name: string; readonly values: readonly number[] },
  series: readonly Series[],
  width: number,
): uPlot.Options {
  // Asked for whenever it is drawn: the colour scheme may have changed since.
  const ink = () => getComputedStyle(document.documentElement).getPropertyValue('--ink').trim() || '#222';
  const axis = { stroke: ink, grid: { stroke: () => `${ink()}22` }, ticks: { stroke: () => `${ink()}44` } };
  return {
    width: Math.min(width, window.innerWidth - 48),
    height: 170,
    scales: { x: { time: false } },
    // The title names a single curve; several are told apart by their colours.
    legend: { show: series.length > 1, live: false },
    axes: [
      { ...axis, label: x.name, labelSize: 18, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] },
      axis,
    ],
    series: [
      { label: x.name },
      ...series.map(({ name }, i) => ({
        label: name,
        stroke: STROKES[i % STROKES.length],
        width: 1.5,
        points: { show: x.values.length < 40 },
      })),
    ],
  };
}

/** Takes the charts inside an element off the page. */
export function removeCharts(inside: Element): void {
  for (const old of inside.querySelectorAll('.chart')) old.dispatchEvent(new Event('prefgrad:remove'));
}
