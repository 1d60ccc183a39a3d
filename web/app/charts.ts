/** Charts, drawn by uPlot on a canvas. */
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { h } from './dom.ts';

/** Colours that colour-blind readers tell apart, by the order of the series. */
const STROKES = ['#d9711c', '#2f6fb5', '#5b8c5a', '#8b5aa8', '#a08a2e', '#6b6b6b'];

export interface Series {
  readonly name: string;
  readonly values: readonly (number | null)[];
}

/** A chart with one line per series; `bars` draws the first as columns. */
export function chart(
  title: string,
  x: { readonly name: string; readonly values: readonly number[] },
  series: readonly Series[],
  { bars = false, testid }: { bars?: boolean; testid?: string } = {},
): HTMLElement {
  const box = h('figure', { class: 'chart', 'data-testid': testid, role: 'img', 'aria-label': title });
  box.append(h('figcaption', {}, title));
  const ink = getComputedStyle(document.documentElement).getPropertyValue('--ink').trim() || '#222';
  const axis = { stroke: ink, grid: { stroke: `${ink}22` }, ticks: { stroke: `${ink}44` } };
  const paths = bars && uPlot.paths.bars ? uPlot.paths.bars({ size: [0.9, 40] }) : undefined;
  const plot = new uPlot(
    {
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
    },
    [Array.from(x.values), ...series.map(({ values }) => Array.from(values))] as uPlot.AlignedData,
    box,
  );
  box.addEventListener('prefgrad:remove', () => plot.destroy());
  return box;
}

/** Counts of values in equal bins. */
export function histogram(values: readonly number[], bins: number): { x: number[]; counts: number[] } {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const width = (high - low) / bins || 1;
  const counts = new Array<number>(bins).fill(0);
  for (const value of values) counts[Math.min(bins - 1, Math.floor((value - low) / width))]++;
  return { x: counts.map((_, i) => low + (i + 0.5) * width), counts };
}
