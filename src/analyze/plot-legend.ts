/** The legend as part of the SVG, so that a file is complete; Plot's own is HTML beside it. */
import type * as Plot from '@observablehq/plot';
import type { Series } from './figure.ts';
import { colorsOf, type Theme } from './theme.ts';

const SVG = 'http://www.w3.org/2000/svg';
const LINE_HEIGHT = 17;
const SWATCH = 24;
/** Between two entries, and the width of a character of 11 pixels, which is an estimate: a document without fonts cannot measure. */
const SPACE = 16;
const CHARACTER = 6;

interface Place {
  readonly x: number;
  readonly line: number;
}

export interface Legend {
  /** In pixels. */
  readonly height: number;
  readonly mark: Plot.RenderFunction;
}

/** One entry per series; none where there is but one series. */
export function legendOf(
  series: readonly Series[],
  theme: Theme,
  { width, left, top }: { readonly width: number; readonly left: number; readonly top: number },
): Legend {
  const shown = series.length > 1 ? series : [];
  const places = placesOf(
    shown.map(({ name }) => SWATCH + 6 + CHARACTER * name.length),
    width,
  );
  const colors = colorsOf(shown, theme);
  const lines = Math.max(0, ...places.map(({ line }) => line + 1));
  return {
    height: LINE_HEIGHT * lines,
    mark: (_, _scales, _values, _dimensions, { document: page }) => {
      const element = (name: string, attributes: Readonly<Record<string, string | number>>) => {
        const made = page.createElementNS(SVG, name) as SVGElement;
        for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
        return made;
      };
      const group = element('g', { 'font-size': 11, 'text-anchor': 'start' });
      for (const [i, { name, mark }] of shown.entries()) {
        const x = left + places[i].x;
        const y = top + LINE_HEIGHT * places[i].line + LINE_HEIGHT / 2;
        const color = colors[i];
        group.append(swatch(element, mark, color, x, y));
        const text = element('text', { x: x + SWATCH + 4, y: y + 4, fill: theme.ink });
        text.textContent = name;
        group.append(text);
      }
      return group;
    },
  };
}

type MakeElement = (name: string, attributes: Readonly<Record<string, string | number>>) => SVGElement;

function swatch(element: MakeElement, mark: Series['mark'], color: string, x: number, y: number): SVGElement {
  if (mark === 'bars') return element('rect', { x: x + 6, y: y - 5, width: 12, height: 10, fill: color });
  if (mark === 'dots') return element('circle', { cx: x + SWATCH / 2, cy: y, r: 4, fill: color });
  return element('line', {
    x1: x,
    x2: x + SWATCH - 4,
    y1: y,
    y2: y,
    stroke: color,
    'stroke-width': 2,
    'stroke-dasharray': mark === 'dotted' ? '2 4' : 'none',
  });
}

/** Entries one after the other, on a new line where the width is used up. */
function placesOf(widths: readonly number[], most: number): Place[] {
  let [x, line] = [0, 0];
  return widths.map((width) => {
    if (x > 0 && x + width > most) [x, line] = [0, line + 1];
    const place = { x, line };
    x += width + SPACE;
    return place;
  });
}
