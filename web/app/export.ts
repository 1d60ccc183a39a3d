/** The view as a file: JSON with every number, SVG and PNG as pictures. */
import type { ScoredPair } from '../worker/protocol.ts';
import { isSequential, placeOf, type View, valuesOf, visible } from './views.ts';

export interface ExportedView {
  readonly view: View;
  readonly scale: number;
  readonly models: readonly {
    readonly model: string;
    readonly method: string;
    readonly scored: ScoredPair;
  }[];
}

/** Gives a file to the user. */
export function download(name: string, content: Blob): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function asJson(view: ExportedView): Blob {
  return new Blob([`${JSON.stringify(view, null, 2)}\n`], { type: 'application/json' });
}

const WIDTH = 900;
const LINE = 22;
const CHARACTER = 7.6;

/** A picture of the tokens, one block per model and side. */
export function asSvg({ view, scale, models }: ExportedView): string {
  const parts: string[] = [];
  let y = 28;
  for (const { model, method, scored } of models) {
    parts.push(`<text x="10" y="${y}" font-weight="bold">${escaped(`${model}, ${method}, ${view}`)}</text>`);
    y += LINE;
    for (const side of ['chosen', 'rejected'] as const) {
      parts.push(`<text x="10" y="${y}" fill="#666">${side}</text>`);
      y += LINE;
      let x = 10;
      const values = valuesOf(scored[side], view);
      scored[side].tokens.forEach((token, i) => {
        const text = visible(token);
        const width = text.length * CHARACTER + 4;
        if (x + width > WIDTH - 10) {
          x = 10;
          y += LINE;
        }
        const fill = fillOf(placeOf(values?.[i] ?? 0, scale), isSequential(view));
        const mark = scored[side].diff[i] === 1 ? ' text-decoration="underline"' : '';
        parts.push(
          `<rect x="${x}" y="${y - 15}" width="${width}" height="19" rx="3" fill="${fill}"/>` +
            `<text x="${x + 2}" y="${y}"${mark}>${escaped(text)}</text>`,
        );
        x += width + 1;
      });
      y += LINE + 4;
    }
    y += 8;
  }
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y}" font-family="monospace" font-size="12.5">` +
    `<rect width="100%" height="100%" fill="#fff"/>${parts.join('')}</svg>`
  );
}

export async function asPng(svg: string): Promise<Blob> {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const canvas = document.createElement('canvas');
  canvas.width = 2 * image.width;
  canvas.height = 2 * image.height;
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('This browser gives no canvas to draw on.');
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob === null ? reject(new Error('No picture could be made.')) : resolve(blob))),
  );
}

/** Blue below 0, orange above, white at 0; green where the sign means nothing: the page's scales. */
export function fillOf(place: number, sequential = false): string {
  const [r, g, b] = sequential ? [46, 125, 90] : place < 0 ? [47, 111, 181] : [217, 113, 28];
  const mix = (channel: number) => Math.round(255 + (channel - 255) * 0.75 * Math.abs(place));
  return `rgb(${mix(r)},${mix(g)},${mix(b)})`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
