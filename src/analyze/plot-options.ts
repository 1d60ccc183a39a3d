/** From a figure to options of Observable Plot: the same for files, the report and the page. Touches no document. */
import type * as Plot from '@observablehq/plot';
import type { Axis, Figure, Point, Series } from './figure.ts';
import { legendOf } from './plot-legend.ts';
import { colorsOf, type Theme } from './theme.ts';

type Marks = typeof Plot;

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A point where it is drawn; names on the x axis have the places 1, 2, 3, ... */
interface Placed extends Point {
  readonly at: number;
}

const MARGIN = { left: 76, right: 20, bottom: 46, title: 30 };
/** Of the distance between two places, all bars of a place together. */
const BAR_WIDTH = 0.8;
/** Lines over names are this far apart, so that their intervals do not cover each other. */
const DODGE = 0.06;

/** @param size without the legend, which adds its height */
export function plotOptions(figure: Figure, plot: Marks, theme: Theme, size: Size): Plot.PlotOptions {
  const names = namesOf(figure);
  const colors = colorsOf(figure.series, theme);
  const legend = legendOf(figure.series, theme, {
    width: size.width - MARGIN.left - MARGIN.right,
    left: MARGIN.left,
    top: MARGIN.title,
  });
  const axis = { fontSize: 11, labelArrow: 'none', labelAnchor: 'center' } as const;
  return {
    width: size.width,
    height: size.height + legend.height,
    marginTop: MARGIN.title + legend.height + 4,
    marginLeft: MARGIN.left,
    marginRight: MARGIN.right,
    marginBottom: MARGIN.bottom,
    style: {
      background: theme.background,
      color: theme.ink,
      fontFamily: 'Helvetica, Arial, DejaVu Sans, sans-serif',
    },
    x: {
      type: figure.x.scale === 'log' ? 'log' : 'linear',
      inset: names === undefined ? 8 : 0,
      ...(names && { domain: [0.5, names.length + 0.5] }),
    },
    y: { type: figure.y.scale === 'log' ? 'log' : 'linear', nice: true },
    marks: [
      backgroundMark(theme),
      plot.gridY({ stroke: theme.muted, strokeOpacity: 0.25 }),
      plot.axisX({
        ...axis,
        label: axisLabel(figure.x),
        labelOffset: 38,
        tickFormat: numberText,
        ...(names && { ticks: names.map((_, i) => i + 1), tickFormat: (at: number) => names[at - 1] ?? '' }),
      }),
      plot.axisY({ ...axis, label: axisLabel(figure.y), labelOffset: 66, tickFormat: numberText }),
      ...rulesOf(figure, plot, theme),
      ...figure.series.flatMap((series, i) => {
        const placed = series.points.map((point): Placed => ({ ...point, at: placeOf(point, names) }));
        const beside = names === undefined ? 0 : DODGE * (i - (figure.series.length - 1) / 2);
        return series.mark === 'bars'
          ? barMarks(figure, placed, i, names !== undefined, plot, colors[i], theme.ink)
          : lineMarks(
              series,
              placed.map((point) => ({ ...point, at: point.at + beside })),
              i,
              plot,
              colors[i],
            );
      }),
      legend.mark,
      titleMark(figure.title, theme),
    ],
  };
}

/** At most four significant digits, as short as they are. */
function numberText(value: number): string {
  return String(Number(value.toPrecision(4))).replace('-', '−');
}

function axisLabel({ label, unit }: Axis): string {
  return unit === undefined ? label : `${label} (${unit})`;
}

/** Names on the x axis, in the order in which they come. */
function namesOf({ x, series }: Figure): string[] | undefined {
  if (x.scale !== 'point') return undefined;
  return [...new Set(series.flatMap(({ points }) => points.map((point) => String(point.x))))];
}

function placeOf({ x }: Point, names: readonly string[] | undefined): number {
  return names === undefined ? Number(x) : names.indexOf(String(x)) + 1;
}

const SYMBOLS = ['circle', 'square', 'triangle', 'diamond', 'star', 'wye', 'cross'] as const;
/** Curves with more points than this have no symbols, which would cover them. */
const MOST_SYMBOLS = 40;

function lineMarks(
  { mark }: Series,
  points: readonly Placed[],
  i: number,
  plot: Marks,
  stroke: string,
): Plot.Markish[] {
  const interval = points.filter(({ low, high }) => low !== undefined && high !== undefined);
  const marks: Plot.Markish[] = [
    plot.ruleX(interval, { x: 'at', y1: 'low', y2: 'high', stroke, strokeOpacity: 0.6 }),
  ];
  if (mark !== 'dots')
    marks.push(
      plot.lineY(points, {
        x: 'at',
        y: 'y',
        stroke,
        strokeWidth: 1.8,
        strokeDasharray: mark === 'dotted' ? '2 4' : 'none',
      }),
    );
  if (mark === 'dots' || points.length <= MOST_SYMBOLS)
    marks.push(
      plot.dot(points, { x: 'at', y: 'y', fill: stroke, r: 3, symbol: SYMBOLS[i % SYMBOLS.length] }),
    );
  return marks;
}

/** Bars of several series stand side by side at a name, and at the same x otherwise. */
function barMarks(
  { series }: Figure,
  points: readonly Placed[],
  i: number,
  isNamed: boolean,
  plot: Marks,
  fill: string,
  ink: string,
): Plot.Markish[] {
  const width = BAR_WIDTH / (isNamed ? series.length : 1);
  const left = ({ at }: Placed) => at - BAR_WIDTH / 2 + (isNamed ? i * width : 0);
  const interval = points.filter(({ low, high }) => low !== undefined && high !== undefined);
  return [
    plot.rect(points, {
      x1: left,
      x2: (point: Placed) => left(point) + width,
      y1: () => 0,
      y2: 'y',
      fill,
    }),
    plot.ruleX(interval, {
      x: (point: Placed) => left(point) + width / 2,
      y1: 'low',
      y2: 'high',
      stroke: ink,
    }),
  ];
}

function rulesOf({ rules = [] }: Figure, plot: Marks, theme: Theme): Plot.Markish[] {
  const style = { stroke: theme.muted, strokeDasharray: '4 3' };
  const text = { fill: theme.muted, fontSize: 11 };
  return rules.flatMap(({ axis, value, label }, i): Plot.Markish[] =>
    axis === 'y'
      ? [
          plot.ruleY([value], style),
          plot.text([label], { ...text, y: () => value, frameAnchor: 'right', textAnchor: 'end', dy: -7 }),
        ]
      : [
          plot.ruleX([value], style),
          plot.text([label], {
            ...text,
            x: () => value,
            frameAnchor: 'top',
            textAnchor: 'start',
            dx: 4,
            // Below each other: rules may stand close together.
            dy: 6 + 14 * i,
          }),
        ],
  );
}

/** As a shape, since not every program that shows SVG knows a background. */
function backgroundMark({ background }: Theme): Plot.RenderFunction {
  return (_, _scales, _values, _dimensions, { document: page }) => {
    const rect = page.createElementNS('http://www.w3.org/2000/svg', 'rect');
    for (const [name, value] of Object.entries({ width: '100%', height: '100%', fill: background }))
      rect.setAttribute(name, value);
    return rect;
  };
}

function titleMark(title: string, theme: Theme): Plot.RenderFunction {
  return (_, _scales, _values, _dimensions, { document: page }) => {
    const text = page.createElementNS('http://www.w3.org/2000/svg', 'text');
    for (const [name, value] of Object.entries({
      x: 12,
      y: 18,
      fill: theme.ink,
      'font-size': 13,
      'font-weight': 'bold',
      'text-anchor': 'start',
    }))
      text.setAttribute(name, String(value));
    text.textContent = title;
    return text;
  };
}
