/** Charts, drawn by uPlot on a canvas. */
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

/** A chart with one line per series; `bars` draws the first as columns. */
export function chart(
  title: string,
  x: { readonly name: string; readonly values: readonly number[] },
  series: readonly Series[],
  { bars = false, testid }: { bars?: boolean; testid?: string } = {},
): Chart {
  const element = h('figure', { class: 'chart', 'data-testid': testid, role: 'img', 'aria-label': title });
  element.append(h('figcaption', {}, title));
  let data = dataOf(x.values, series);
  let plot: uPlot | undefined;
  let isRemoved = false;
  element.addEventListener('prefgrad:remove', () => {
    isRemoved = true;
    plot?.destroy();
  });
  // Every chart is drawn in a task of its own, so that many of them never hold up the page.
  void import('uplot').then(({ default: Plot }) =>
    setTimeout(() => {
      if (!isRemoved) plot = new Plot(optionsOf(Plot, x, series, bars), data, element);
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
  Plot: typeof uPlot,
  x: { readonly name: string; readonly values: readonly number[] },
  series: readonly Series[],
  bars: boolean,
): uPlot.Options {
  const ink = getComputedStyle(document.documentElement).getPropertyValue('--ink').trim() || '#222';
  const axis = { stroke: ink, grid: { stroke: `${ink}22` }, ticks: { stroke: `${ink}44` } };
  const paths = bars && Plot.paths.bars ? Plot.paths.bars({ size: [0.9, 40] }) : undefined;
  return {
    width: Math.max(280, Math.min(560, window.innerWidth - 48)),
    height: 200,
    scales: { x: { time: false } },
    axes: [{ ...axis, label: x.name, labelSize: 18 }, axis],
    series: [
      { label: x.name },
      ...series.map(({ name }, i) => ({
        label: name,
        stroke: STROKES[i % STROKES.length],
        width: 1.5,
        points: { show: x.values.length < 40 && !bars },
        ...(paths === undefined ? {} : { paths, fill: `${STROKES[0]}88` }),
      })),
    ],
  };
}

/** Takes the charts inside an element off the page. */
export function removeCharts(inside: Element): void {
  for (const old of inside.querySelectorAll('.chart')) old.dispatchEvent(new Event('prefgrad:remove'));
}
