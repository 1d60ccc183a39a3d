/** Figures as SVG text, drawn by Observable Plot into linkedom's document, for wherever there is no browser. */
import type { Figure } from './figure.ts';
import { plotOptions, type Size } from './plot-options.ts';
import type { Theme } from './theme.ts';

const SIZE: Size = { width: 520, height: 320 };

/** @returns an SVG document that stands for itself */
export async function figureSvg(figure: Figure, theme: Theme, size: Size = SIZE): Promise<string> {
  const plot = await import('@observablehq/plot');
  const { parseHTML } = await import('linkedom');
  const page = parseHTML('<!doctype html><html><body></body></html>').document;
  const drawn = plot.plot({ ...plotOptions(figure, plot, theme, size), document: page });
  drawn.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  drawn.setAttribute('role', 'img');
  const title = page.createElementNS('http://www.w3.org/2000/svg', 'title');
  title.textContent = `${figure.title}. ${figure.caption}`;
  drawn.prepend(title as unknown as Node);
  return `${drawn.outerHTML}\n`;
}
