/** Live curves, drawn by uPlot on a canvas. */
import type uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { h } from './dom.ts';

/** Of several series, by their order (scale.css): orange and blue are the sign of a reward, and mean nothing else. */
const HUES = ['--hue1', '--hue2', '--hue3', '--hue4', '--hue5'];

export interface Series {
  readonly name: string;
  /** Chosen is drawn as a full line in ink and rejected as a dashed one, everywhere. */
  readonly answer?: 'chosen' | 'rejected';
  readonly values: readonly (number | null)[];
  /** Place on the horizontal axis where a dashed line stands, in the colour of the series. */
  readonly mark?: number | undefined;
}

/** A chart on the page, whose numbers can change. */
export interface Chart {
  readonly element: HTMLElement;
  update(x: readonly number[], series: readonly Series[]): void;
}

/** The horizontal axis. */
export interface Axis {
  readonly name: string;
  readonly values: readonly number[];
  /** Ticks are whole numbers. */
  readonly isWhole?: boolean;
}

/** A chart with one line per series, labelled below. */
export function chart(
  title: string,
  x: Axis,
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

/** A colour of the style sheet, asked for whenever something is drawn: the colour scheme may have changed since. */
function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function colourOf(series: readonly Series[], i: number): string {
  return colour(series.length === 1 || series[i].answer ? '--ink' : HUES[i % HUES.length]);
}

function optionsOf(x: Axis, series: readonly Series[], width: number): uPlot.Options {
  const line = { stroke: () => colour('--line'), width: 1 };
  const axis = { stroke: () => colour('--ink'), grid: line, ticks: line };
  return {
    width: Math.min(width, window.innerWidth - 48),
    height: 170,
    scales: { x: { time: false } },
    // The title names a single curve; several are told apart by their colours.
    legend: { show: series.length > 1, live: false },
    axes: [
      {
        ...axis,
        label: x.name,
        labelSize: 18,
        ...(x.isWhole ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] } : {}),
      },
      axis,
    ],
    hooks: { draw: [(plot) => drawMarks(plot, series)] },
    series: [
      { label: x.name },
      ...series.map(({ name, answer }, i) => ({
        label: name,
        stroke: () => colourOf(series, i),
        ...(answer === 'rejected' ? { dash: [5, 4] } : {}),
        width: 1.5,
        points: { show: x.values.length < 40 },
      })),
    ],
  };
}

function drawMarks(plot: uPlot, series: readonly Series[]): void {
  for (const [i, { mark }] of series.entries()) {
    if (mark === undefined) continue;
    const { ctx, bbox } = plot;
    const at = plot.valToPos(mark, 'x', true);
    ctx.save();
    ctx.strokeStyle = colourOf(series, i);
    ctx.setLineDash([3, 4]);
    ctx.beginPath();
    ctx.moveTo(at, bbox.top);
    ctx.lineTo(at, bbox.top + bbox.height);
    ctx.stroke();
    ctx.restore();
  }
}

/** Takes the charts inside an element off the page. */
export function removeCharts(inside: Element): void {
  for (const old of inside.querySelectorAll('.chart')) old.dispatchEvent(new Event('prefgrad:remove'));
}
