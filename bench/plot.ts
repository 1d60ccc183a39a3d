/** Draws every series of a result file, rows with a size, as one picture: a browser and uPlot do the drawing. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';
import type UPlot from 'uplot';
import type { Report, Row } from './report.ts';

const WIDTH = 420;
const HEIGHT = 300;

/** Writes a PNG with a chart per kind of work: milliseconds over size, and the line through the first two points. */
export async function plot(resultFile: string, pictureFile: string): Promise<void> {
  const { adapter, date, rows } = JSON.parse(readFileSync(resultFile, 'utf8')) as Report;
  const sized = rows.filter((row) => row.size !== undefined);
  if (sized.length === 0) throw new RangeError(`${resultFile} has no rows with a size.`);
  const charts = [...new Set(sized.map(({ work }) => work))].map((work) =>
    chartOf(
      work,
      sized.filter((row) => row.work === work),
    ),
  );
  const require = createRequire(import.meta.url);
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  const viewport = { width: charts.length * (WIDTH + 6), height: HEIGHT + 80 };
  const page = await browser.newPage({ deviceScaleFactor: 2, viewport });
  await page.setContent(
    '<body style="margin:8px;font:14px sans-serif;background:#fff"><p id="about"></p><div id="charts" style="display:flex"></div>',
  );
  await page.addStyleTag({ path: require.resolve('uplot/dist/uPlot.min.css') });
  await page.addScriptTag({ path: require.resolve('uplot/dist/uPlot.iife.min.js') });
  await page.evaluate(draw, {
    charts,
    about: `A step of DPO on ${adapter}, ${date.slice(0, 10)}. Dashed: the slope between the first two sizes.`,
    WIDTH,
    HEIGHT,
  });
  await page.locator('body').screenshot({ path: pictureFile });
  await browser.close();
}

type Chart = ReturnType<typeof chartOf>;

function chartOf(work: string, rows: readonly Row[]) {
  const sizes = rows.map(({ size = 0 }) => size);
  const times = rows.map(({ ours_ms }) => ours_ms);
  const slope = (times[1] - times[0]) / (sizes[1] - sizes[0]);
  const straight = sizes.map((size) => times[0] + slope * (size - sizes[0]));
  return { work, sizes, times, straight, highest: 1.05 * Math.max(...times, ...straight) };
}

/** Runs in the page, where uPlot is a global. No functions inside: tsx would give them names through a helper of its own. */
function draw({
  charts,
  about,
  WIDTH,
  HEIGHT,
}: {
  charts: readonly Chart[];
  about: string;
  WIDTH: number;
  HEIGHT: number;
}): void {
  const { uPlot } = globalThis as unknown as { uPlot: typeof UPlot };
  const text = document.getElementById('about');
  if (text !== null) text.textContent = about;
  for (const { work, sizes, times, straight, highest } of charts) {
    const options: UPlot.Options = {
      title: work,
      width: WIDTH,
      height: HEIGHT,
      legend: { show: false },
      scales: { x: { time: false }, y: { range: [0, highest] } },
      axes: [{}, { label: 'ms', labelSize: 20 }],
      series: [
        {},
        { stroke: '#999', dash: [5, 5], points: { show: false } },
        { stroke: '#1f5f8b', width: 2, points: { show: true, size: 7 } },
      ],
    };
    const place = document.createElement('div');
    document.getElementById('charts')?.append(place);
    new uPlot(options, [[...sizes], [...straight], [...times]], place);
  }
}
