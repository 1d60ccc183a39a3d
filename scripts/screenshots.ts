/** npm run web:screenshots: the page's main states, as docs/images/*.png. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { build } from 'vite';
import { launchChromium } from '../test/support/adapters.ts';
import { serve } from '../test/support/serve.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'prefgrad-screenshots-'));
mkdirSync(`${root}docs/images`, { recursive: true });
await build({
  configFile: `${root}web/vite.config.ts`,
  logLevel: 'warn',
  build: { outDir: join(folder, 'page') },
});
const server = await serve(join(folder, 'page'));
const browser = await launchChromium();

interface Shot {
  readonly name: string;
  readonly hash: string;
  readonly size?: readonly [number, number];
  readonly dark?: boolean;
  ready?(page: Page): Promise<void>;
}

const shots: readonly Shot[] = [
  {
    name: 'tokens',
    hash: '#panes=dpo-bmc|dpo',
    size: [1500, 720],
    ready: async (page) => {
      await page.locator('[data-testid=token][data-side=chosen]').nth(28).hover();
    },
  },
  {
    name: 'pairs',
    hash: '#pair=2',
    size: [1400, 1050],
    ready: async (page) => {
      await page.waitForFunction(
        () => !document.querySelector('[data-testid=pair-row] td:nth-child(2)')?.textContent?.includes('–'),
      );
    },
  },
  {
    name: 'training',
    hash: '#tool=train&pair=1',
    size: [1400, 1250],
    ready: async (page) => {
      await page.getByTestId('train-steps').fill('12');
      await page.getByTestId('train').click();
      await page.getByTestId('train-status').filter({ hasText: 'finished' }).waitFor({ timeout: 240_000 });
    },
  },
  {
    name: 'playground',
    hash: '#tool=playground',
    size: [1400, 1300],
    ready: (page) => page.getByTestId('playground-lambda').locator('canvas').waitFor(),
  },
  {
    name: 'charts',
    hash: '#tool=charts&models=dpo-bmc,dpo&view=contribution',
    size: [1400, 1250],
    ready: (page) => page.getByTestId('spans').locator('canvas').waitFor({ timeout: 120_000 }),
  },
  { name: 'dark', hash: '#pair=3&view=running', size: [1400, 800], dark: true },
  { name: 'narrow', hash: '#pair=3', size: [360, 1000] },
];

for (const { name, hash, size = [1400, 900], dark = false, ready } of shots) {
  const page = await browser.newPage({ viewport: { width: size[0], height: size[1] } });
  await page.emulateMedia({ colorScheme: dark ? 'dark' : 'light' });
  await page.goto(`${server.origin}/${hash}`);
  await page.getByTestId('source').filter({ hasText: 'live' }).waitFor({ timeout: 120_000 });
  await ready?.(page);
  await page.screenshot({ path: `${root}docs/images/${name}.png` });
  await page.close();
  console.log(`docs/images/${name}.png`);
}
await browser.close();
await server.close();
rmSync(folder, { recursive: true, force: true });
