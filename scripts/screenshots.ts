/**
 * npm run web:screenshots [FOLDER [STATE ...]]: every state of the page at 390, 1440 and 1920 px, light and dark.
 *
 * Without a folder, the pictures that README and docs show are made anew in docs/images; with one, all of them go there, to be
 * looked at one by one, and axe-core's verdict on every state is written to bench/results/page-accessibility.json. Exit code 1
 * when it has found something serious. With names of states, only those are looked at anew.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { chromium, type Page } from 'playwright-core';
import { build } from 'vite';
import { commitNow } from '../bench/report.ts';
import { launchChromium } from '../test/support/adapters.ts';
import { violationsOf } from '../test/support/axe.ts';
import { serve } from '../test/support/serve.ts';

interface State {
  readonly name: string;
  readonly hash: string;
  /** On a phone, the tools' sheet is closed over it. */
  readonly isRead?: boolean;
  /** Brings the page there, once its address is set. */
  ready?(page: Page): Promise<unknown>;
}

/** Everything is slow where the CPU draws and computes. */
const LIVE = { timeout: 600_000 };
const live = (page: Page) => page.getByTestId('source').filter({ hasText: 'live' }).waitFor(LIVE);
const computed = async (page: Page) => {
  for (const pane of await page.getByTestId('pane').all())
    await pane.filter({ hasText: ', computed here' }).waitFor(LIVE);
};

const rows = (texts: readonly (readonly [prompt: string, chosen: string, rejected: string])[]) =>
  texts.map(([prompt, chosen, rejected]) => JSON.stringify({ prompt, chosen, rejected })).join('\n');
// As much as the model has positions for: what differs stands at the end.
const story = 'She ran to the park and saw a big dog. '.repeat(24);
const ODD = rows([
  ['היא אמרה:', ' הכלב רץ לגן.', ' החתול ישן בבית.'],
  ['彼女は言った。', ' 犬は公園へ走った。', ' 猫は家で寝た。'],
  ['Emoji, please', ' 👩‍🚀 went to 🌕 with 🐕.', ' 👩‍🚀 went home 🏠.'],
  [
    'Sum a list',
    '\n```python\ndef total(xs):\n    return sum(xs)\n```',
    '\n```python\ndef total(xs):\n    return xs\n```',
  ],
  ['A long story', ` ${story}The dog was happy.`, ` ${story}The dog was sad.`],
]);
const SCORES = gunzipSync(readFileSync('test/fixtures/analyze/dpo-bmc.jsonl.gz')).toString();
const MANY = rows(Array.from({ length: 10_000 }, (_, i) => [`Row ${i + 1}`, ' a cat sat.', ' a dog sat.']));
const dropped = (name: string, text: string, pair: number) => async (page: Page) => {
  await drop(page, name, text);
  await page.getByTestId('rows-origin').filter({ hasText: name }).waitFor(LIVE);
  await page.getByTestId('pair-row').nth(pair).click();
  await computed(page);
};
const drop = (page: Page, name: string, text: string) =>
  page.getByTestId('files').setInputFiles([{ name, mimeType: 'text/plain', buffer: Buffer.from(text) }]);
/** A run with a checkpoint and a final model, and metrics of a real one. */
const openRun = async (page: Page) => {
  const run = join(folder, 'my-run');
  cpSync(join(root, 'web/public/models/dpo'), join(run, 'checkpoint-10'), { recursive: true });
  cpSync(join(root, 'web/public/models/dpo-bmc'), join(run, 'model'), { recursive: true });
  cpSync(join(root, 'test/fixtures/analyze/dpo-bmc/metrics.jsonl'), join(run, 'metrics.jsonl'));
  await page.getByTestId('folder').setInputFiles(run);
  await page.getByTestId('checkpoint-0').waitFor(LIVE);
  await computed(page);
};
const train = async (page: Page, method: string) => {
  await page.getByTestId('train-method').selectOption(method);
  await page.getByTestId('train-steps').fill('6');
  await page.getByTestId('train').click();
  await page.getByTestId('train-status').filter({ hasText: 'finished' }).waitFor(LIVE);
};

const states: readonly State[] = [
  { name: 'first', hash: '' },
  {
    name: 'tokens',
    hash: '#panes=dpo-bmc|dpo&pair=1',
    ready: async (page) => {
      await computed(page);
      await page.locator('[data-testid=token][data-side=chosen]').nth(48).hover();
    },
  },
  { name: 'difference', hash: '#panes=dpo-bmc|dpo&pair=1&difference=1', ready: live },
  { name: 'lambda', hash: '#pair=2&view=lambda', ready: live },
  {
    name: 'charts',
    hash: '#panes=dpo-bmc|dpo&tool=charts',
    ready: (page) => page.getByTestId('spans').locator('svg').waitFor(LIVE),
  },
  { name: 'edit', hash: '#tool=edit&pair=3', ready: live },
  { name: 'training', hash: '#tool=train&pair=1', ready: (page) => train(page, 'dpo') },
  {
    name: 'compare',
    hash: '#tool=train&pair=1',
    ready: async (page) => {
      await page.getByTestId('reset').click();
      await page.getByTestId('train-status').filter({ hasText: 'not started' }).waitFor(LIVE);
      await train(page, 'cpo');
      await page.getByTestId('compare').click();
      await computed(page);
    },
  },
  {
    name: 'playground',
    hash: '#tool=playground',
    ready: async (page) => {
      for (const figure of ['playground', 'playground-lambda'])
        await page.getByTestId(figure).locator('canvas').waitFor(LIVE);
    },
  },
  { name: 'right-to-left', hash: '#tool=files', isRead: true, ready: dropped('odd.jsonl', ODD, 0) },
  { name: 'cjk', hash: '#tool=files', isRead: true, ready: dropped('odd.jsonl', ODD, 1) },
  { name: 'emoji', hash: '#tool=files', isRead: true, ready: dropped('odd.jsonl', ODD, 2) },
  { name: 'code', hash: '#tool=files', isRead: true, ready: dropped('odd.jsonl', ODD, 3) },
  { name: 'long', hash: '#tool=files', isRead: true, ready: dropped('odd.jsonl', ODD, 4) },
  { name: 'many', hash: '#tool=files', isRead: true, ready: dropped('many.jsonl', MANY, 5) },
  { name: 'run', hash: '#tool=files&pair=1', isRead: true, ready: openRun },
  {
    name: 'scores',
    hash: '#tool=files',
    isRead: true,
    ready: async (page) => {
      await drop(page, 'scores.jsonl', SCORES);
      await page.getByTestId('pane').filter({ hasText: 'your score file' }).first().waitFor(LIVE);
    },
  },
  {
    name: 'error',
    hash: '#tool=files',
    ready: async (page) => {
      await drop(page, 'broken.jsonl', '{"prompt": "Once",\n');
      await page.getByTestId('error').waitFor(LIVE);
    },
  },
  {
    name: 'keys',
    hash: '#pair=0',
    ready: async (page) => {
      await page.getByTestId('help').click();
    },
  },
];
const SIZES = [
  [390, 844],
  [1440, 900],
  [1920, 1080],
] as const;
/** Where axe looks at every state; colours and layout do not change between the other sizes. */
const AUDITED = ['1440-light', '1440-dark', '390-light'];
/** What the README shows. */
const SHOWN = ['tokens-1440-light'];

const root = fileURLToPath(new URL('..', import.meta.url));
const [wanted, ...only] = process.argv.slice(2);
const target = wanted ?? `${root}docs/images`;
const folder = mkdtempSync(join(tmpdir(), 'prefgrad-screenshots-'));
mkdirSync(target, { recursive: true });
await build({
  configFile: `${root}web/vite.config.ts`,
  logLevel: 'warn',
  build: { outDir: join(folder, 'page') },
});
const server = await serve(join(folder, 'page'));
const browser = await launchChromium();
// One page for all: an engine takes long to start.
const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
await page.goto(`${server.origin}/`);
await page.locator('[data-testid=token][data-side=chosen]').first().waitFor(LIVE);
const violations: Record<string, string[]> = {};
const isShot = (name: string) =>
  wanted === undefined
    ? SHOWN.some((file) => file.startsWith(`${name}-`))
    : only.length === 0 || only.includes(name);
/** A state in every size and theme. */
async function shoot(page: Page, { name, isRead }: Pick<State, 'name' | 'isRead'>): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    for (const [width, height] of SIZES) {
      const file = `${name}-${width}-${colorScheme}`;
      if (wanted === undefined && !SHOWN.includes(file)) continue;
      await page.setViewportSize({ width, height });
      const close = page.getByTestId('sheet-close');
      if (isRead && (await close.isVisible())) await close.click();
      await page.waitForTimeout(400);
      await page.screenshot({ path: join(target, `${file}.png`) });
      console.log(`${target}/${file}.png`);
      if (wanted !== undefined && AUDITED.includes(`${width}-${colorScheme}`)) {
        violations[file] = await violationsOf(page);
        for (const violation of violations[file]) console.error(`${file}: ${violation}`);
      }
    }
  }
}

for (const state of states) {
  const { name, hash, ready } = state;
  if (name !== 'first' && !isShot(name)) continue;
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.evaluate((to) => {
    location.hash = to;
  }, hash);
  await ready?.(page);
  await shoot(page, state);
  if (name === 'first') await page.getByRole('button', { name: 'Skip' }).click();
}
if (isShot('without-webgpu')) {
  const plain = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-features=WebGPU', '--disable-gpu'],
  });
  const there = await plain.newPage();
  await there.goto(`${server.origin}/#tool=train`);
  await there
    .getByTestId('error')
    .filter({ hasText: /WebGPU/ })
    .waitFor(LIVE);
  await shoot(there, { name: 'without-webgpu' });
  await plain.close();
}
await browser.close();
await server.close();
rmSync(folder, { recursive: true, force: true });
if (wanted !== undefined) {
  const path = `${root}bench/results/page-accessibility.json`;
  const before = only.length > 0 && existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).violations : {};
  const date = new Date().toISOString().slice(0, 10);
  const what = 'serious and critical, by axe-core';
  const result = { date, commit: commitNow(), what, violations: { ...before, ...violations } };
  writeFileSync(path, `${JSON.stringify(result, null, 2)}\n`);
}
process.exitCode = Object.values(violations).some(({ length }) => length > 0) ? 1 : 0;
