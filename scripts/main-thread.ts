/**
 * npm run web:profile: how long the page's own scripts keep its main thread busy, per task, in a CPU profile.
 *
 * Chromium's tracer samples the main thread's stack. A sample counts for the task it falls into when the function on top is
 * one of the page's own. Exit code 1 when a task of more than LIMIT milliseconds is found.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { build } from 'vite';
import { launchChromium } from '../test/support/adapters.ts';
import { serve } from '../test/support/serve.ts';

const LIMIT = 50;
const CATEGORIES = ['toplevel', 'devtools.timeline', 'disabled-by-default-v8.cpu_profiler'];

/** What of Chromium's trace format is read; times are microseconds. */
interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur?: number;
  readonly id?: string;
  readonly args: {
    readonly name?: string;
    readonly data?: {
      readonly startTime?: number;
      readonly cpuProfile?: { readonly nodes?: readonly ProfileNode[]; readonly samples?: readonly number[] };
      readonly timeDeltas?: readonly number[];
    };
  };
}

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly url?: string; readonly functionName: string; readonly lineNumber?: number };
}

const activities: readonly [string, string, (page: Page) => Promise<void>][] = [
  ['open, until scores are live', '', async (page) => live(page)],
  [
    'views, one after the other',
    '',
    async (page) => {
      await live(page);
      const options = await page.getByTestId('view').locator('option').allTextContents();
      for (const label of options) {
        await page.getByTestId('view').selectOption({ label });
        await page.waitForTimeout(150);
      }
    },
  ],
  [
    'typing into an answer',
    '#tool=edit',
    async (page) => {
      await live(page);
      await page.getByTestId('edit-chosen').click();
      await page.keyboard.type(' The end was near and everyone was happy.', { delay: 40 });
      await page.waitForTimeout(3000);
    },
  ],
  [
    'training for 20 steps',
    '#tool=train',
    async (page) => {
      await live(page);
      await page.getByTestId('train-steps').fill('20');
      await page.getByTestId('train').click();
      await page.getByTestId('train-status').filter({ hasText: 'finished' }).waitFor({ timeout: 240_000 });
    },
  ],
  ['the playground', '#tool=playground', async (page) => page.getByTestId('playground').waitFor()],
];

const live = (page: Page) =>
  page.getByTestId('source').filter({ hasText: 'live' }).waitFor({ timeout: 120_000 });

/** The largest self time of own scripts in one task of the page's main thread, in milliseconds. */
function longestTask(
  events: readonly TraceEvent[],
  origin: string,
): { longest: number; where: string; tasks: number } {
  const main = events.find(
    (e) => e.name === 'thread_name' && e.args.name === 'CrRendererMain' && hasProfile(events, e.pid, e.tid),
  );
  if (main === undefined) throw new Error('The trace has no profile of a main thread.');
  const tasks = events
    .filter(
      ({ name, ph, pid, tid }) =>
        name.endsWith('RunTask') && ph === 'X' && pid === main.pid && tid === main.tid,
    )
    .map(({ ts, dur = 0 }) => ({ start: ts, end: ts + dur, own: 0, by: new Map<string, number>() }))
    .sort((a, b) => a.start - b.start);
  const profile = events.find((e) => e.name === 'Profile' && e.pid === main.pid && e.tid === main.tid);
  const own = new Map<number, string>();
  let time = profile?.args.data?.startTime ?? 0;
  let task = 0;
  for (const { args } of events.filter(
    (e) => e.name === 'ProfileChunk' && e.id === profile?.id && e.pid === main.pid,
  )) {
    for (const { id, callFrame } of args.data?.cpuProfile?.nodes ?? [])
      if (callFrame.url?.startsWith(origin)) own.set(id, callFrame.functionName || '(anonymous)');
    args.data?.cpuProfile?.samples?.forEach((node, i) => {
      const delta = args.data?.timeDeltas?.[i] ?? 0;
      time += delta;
      while (task < tasks.length && tasks[task].end < time) task++;
      const name = own.get(node);
      const current = tasks[task];
      if (name === undefined || current === undefined || current.start > time) return;
      current.own += delta;
      current.by.set(name, (current.by.get(name) ?? 0) + delta);
    });
  }
  const longest = tasks.reduce((most, one) => (one.own > most.own ? one : most));
  const where = [...longest.by].sort(([, a], [, b]) => b - a).slice(0, 3);
  return {
    longest: longest.own / 1000,
    where: where.map(([name, us]) => `${name} ${(us / 1000).toFixed(1)}`).join(', '),
    tasks: tasks.length,
  };
}

function hasProfile(events: readonly TraceEvent[], pid: number, tid: number): boolean {
  return events.some((e) => e.name === 'Profile' && e.pid === pid && e.tid === tid);
}

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'prefgrad-profile-'));
const built = join(folder, 'page');
await build({
  configFile: `${root}web/vite.config.ts`,
  logLevel: 'warn',
  build: { outDir: built, minify: false },
});
const server = await serve(built);
const browser = await launchChromium();
for (const [name, hash, act] of activities) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  const path = join(folder, 'trace.json');
  await browser.startTracing(page, { path, categories: CATEGORIES });
  await page.goto(`${server.origin}/${hash}`);
  await act(page);
  await browser.stopTracing();
  await page.close();
  const { traceEvents } = JSON.parse(readFileSync(path, 'utf8')) as { traceEvents: TraceEvent[] };
  const { longest, where, tasks } = longestTask(traceEvents, server.origin);
  if (longest > LIMIT) process.exitCode = 1;
  console.log(
    `${name}: own scripts take at most ${longest.toFixed(1)} ms in one of ${tasks} tasks (${where}; limit ${LIMIT})`,
  );
}
await browser.close();
await server.close();
rmSync(folder, { recursive: true, force: true });
