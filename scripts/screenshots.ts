/**
 * npm run web:screenshots [FOLDER]: every state of the page at 390, 1440 and 1920 px, light and dark.
 *
 * Without a folder, the pictures that README and docs show are made anew in docs/images; with one, all of them go there, to be
 * looked at one by one.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { build } from 'vite';
import { launchChromium } from '../test/support/adapters.ts';
import { serve } from '../test/support/serve.ts';

interface State {
  readonly name: string;
  readonly hash: string;
  ready?(page: Page): Promise<unknown>;
}

const LIVE = { timeout: 180_000 };
const live = (page: Page) => page.getByTestId('source').filter({ hasText: 'live' }).waitFor(LIVE);

const states: readonly State[] = [
  { name: 'first', hash: '' },
  {
    name: 'tokens',
    hash: '#panes=dpo-bmc|dpo&pair=1',
    ready: async (page) => {
      await live(page);
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
  {
    name: 'training',
    hash: '#tool=train&pair=1',
    ready: async (page) => {
      await live(page);
      await page.getByTestId('train-steps').fill('12');
      await page.getByTestId('train').click();
      await page.getByTestId('train-status').filter({ hasText: 'finished' }).waitFor(LIVE);
    },
  },
  {
    name: 'playground',
    hash: '#tool=playground',
    ready: (page) => page.getByTestId('playground-lambda').locator('canvas').waitFor(LIVE),
  },
  { name: 'files', hash: '#tool=files' },
];
const SIZES = [
  [390, 844],
  [1440, 900],
  [1920, 1080],
] as const;
/** What README and docs show. */
const SHOWN: readonly string[] = [
  'tokens-1440-light',
  'charts-1440-light',
  'training-1440-light',
  'first-390-dark',
];

const root = fileURLToPath(new URL('..', import.meta.url));
const [wanted] = process.argv.slice(2);
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
for (const { name, hash, ready } of states) {
  for (const colorScheme of ['light', 'dark'] as const) {
    const shots = SIZES.map((size) => ({ size, file: `${name}-${size[0]}-${colorScheme}` }));
    if (wanted === undefined && !shots.some(({ file }) => SHOWN.includes(file))) continue;
    const page = await browser.newPage({ colorScheme, viewport: { width: 1440, height: 900 } });
    await page.addInitScript(() => localStorage.setItem('prefgrad-story-seen', 'yes'));
    await page.goto(`${server.origin}/${hash}`);
    await page.locator('[data-testid=token][data-side=chosen]').first().waitFor(LIVE);
    await ready?.(page);
    for (const { size, file } of shots) {
      if (wanted === undefined && !SHOWN.includes(file)) continue;
      await page.setViewportSize({ width: size[0], height: size[1] });
      await page.waitForTimeout(400);
      await page.screenshot({ path: join(target, `${file}.png`) });
      console.log(`${target}/${file}.png`);
    }
    await page.close();
  }
}
await browser.close();
await server.close();
rmSync(folder, { recursive: true, force: true });
