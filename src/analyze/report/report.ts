/** One HTML page about runs, complete in itself: it loads nothing and runs no script. */
import type { Figure, Result, Table } from '../figure.ts';
import type { Material, Run } from '../material.ts';
import { analyzeAll } from '../registry.ts';
import { figureSvg } from '../svg.ts';
import { cellText } from '../table-text.ts';
import { PAGE_THEME } from '../theme.ts';
import { curvesOf } from './curves.ts';
import { Html, html } from './html.ts';
import { STYLE } from './style.ts';
import { evaluationTable, settingsTable } from './tables.ts';
import { tokenExamples } from './tokens.ts';

export async function reportHtml(material: Material): Promise<string> {
  const { runs, scores } = material;
  const title = `prefgrad: ${runs.map(({ name }) => name).join(', ')}`;
  const { results } = analyzeAll(material);
  const ofData = results.filter(({ source }) => source.length > 0);
  const tokens = tokenExamples(scores);
  const sections = [
    html`<h2>Settings</h2>${tableHtml(settingsTable(runs))}`,
    html`<h2>Curves</h2>${await figuresHtml(curvesOf(runs))}`,
    html`<h2>Evaluation</h2>${tableHtml(evaluationTable(runs))}`,
    html`<h2>Analyses</h2>${await figuresHtml(ofData.filter(isFigure))}${ofData.filter(isTable).map(tableHtml)}`,
    ...(tokens.length === 0 ? [] : [html`<h2>Token rewards</h2>${tokens}`]),
    ...samplesHtml(runs),
  ];
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<h1>${title}</h1>
${sections}
</body>
</html>
`.text;
}

const isFigure = (result: Result): result is Figure => result.kind === 'figure';
const isTable = (result: Result): result is Table => result.kind === 'table';

async function figuresHtml(figures: readonly Figure[]): Promise<Html> {
  const drawn: Html[] = [];
  for (const figure of figures) {
    const svg = new Html(await figureSvg(figure, PAGE_THEME));
    drawn.push(html`<figure>${svg}<figcaption>${figure.caption}</figcaption></figure>`);
  }
  return html`<div class="figures">${drawn}</div>`;
}

function tableHtml({ title, caption, columns, rows }: Table): Html {
  const isNumeric = columns.map((_, i) => rows.every((row) => row[i] === null || typeof row[i] === 'number'));
  const cell = (name: 'th' | 'td', i: number, text: string) => {
    const attributes = `${name === 'th' ? ' scope="col"' : ''}${isNumeric[i] ? ' class="number"' : ''}`;
    return html`${new Html(`<${name}${attributes}>`)}${text}${new Html(`</${name}>`)}`;
  };
  const head = columns.map((column, i) => cell('th', i, column));
  const body = rows.map((row) => html`<tr>${row.map((value, i) => cell('td', i, cellText(value)))}</tr>`);
  return html`<div class="table"><table><caption>${title}. ${caption}</caption><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>`;
}

function samplesHtml(runs: readonly Run[]): Html[] {
  const drawn = runs.flatMap(({ name, facts }) =>
    (facts?.samples ?? []).map(
      ({ prompt, before, after }) =>
        html`<tr><td>${name}</td><td class="sample">${prompt}</td><td class="sample">${before}</td><td class="sample">${after}</td></tr>`,
    ),
  );
  if (drawn.length === 0) return [];
  const head = ['run', 'prompt', 'before', 'after'].map((column) => html`<th scope="col">${column}</th>`);
  return [
    html`<h2>Samples</h2><div class="table"><table><thead><tr>${head}</tr></thead><tbody>${drawn}</tbody></table></div>`,
  ];
}
