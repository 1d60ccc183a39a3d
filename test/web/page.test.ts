/** The real page, built and served as any file server would, driven in Chromium with WebGPU on SwiftShader. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import AxeBuilder from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../src/cli/program.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { hasAdapter, launchChromium } from '../support/adapters.ts';
import { type Served, serve } from '../support/serve.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'prefgrad-page-'));
const built = join(folder, 'page');
const LIVE = 90_000;

let server: Served;
let browser: Browser;

describe.skipIf(!hasAdapter('chromium'))('the page', () => {
  beforeAll(async () => {
    await build({ configFile: `${root}web/vite.config.ts`, logLevel: 'silent', build: { outDir: built } });
    server = await serve(built);
    browser = await launchChromium();
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    await server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Opens the page; every error of its scripts, and every breach of its policy, fails the test that asks for them. */
  async function open(hash = ''): Promise<{ page: Page; problems: string[] }> {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error') problems.push(message.text());
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(server.origin) && /^https?:/.test(request.url()))
        problems.push(request.url());
    });
    await page.goto(`${server.origin}/${hash}`);
    await page.locator('[data-testid=token][data-side=chosen]').first().waitFor();
    return { page, problems };
  }

  const isLive = (page: Page) =>
    page.getByTestId('source').filter({ hasText: 'live' }).waitFor({ timeout: LIVE });
  const shown = async (page: Page, side: string) =>
    page.locator(`[data-testid=token][data-side=${side}]`).evaluateAll((tokens) =>
      tokens.map((token) => ({
        id: Number(token.getAttribute('data-id')),
        value: Number(token.getAttribute('data-value')),
      })),
    );
  const numberIn = async (page: Page, testid: string) =>
    Number((await page.getByTestId(testid).first().innerText()).replace('−', '-'));

  it('shows shipped colours at once, then live ones, whose sums are those of prefgrad score', async () => {
    const { page, problems } = await open();
    expect(await page.getByTestId('source').innerText()).toBe('shipped');
    const colours = await page.locator('[data-testid=token][data-side=chosen]:not(.z0)').count();
    expect(colours).toBeGreaterThan(5);
    await isLive(page);

    const [first] = readFileSync('examples/quickstart/eval.jsonl', 'utf8').split('\n');
    const { writeFileSync } = await import('node:fs');
    writeFileSync(join(folder, 'row.jsonl'), first);
    const out = join(folder, 'scores.jsonl');
    const code = await runCli(
      ['score', '--model', 'web/public/models/dpo-bmc', '--reference', 'web/public/models/reference'].concat([
        '--data',
        join(folder, 'row.jsonl'),
        '--objective',
        'dpo',
        '--settings',
        'beta=0.5',
        '--bmc',
        '--out',
        out,
      ]),
      { out() {}, err() {}, terminal: undefined, runtime: async () => nodeRuntime(), exitCode: 0 },
    );
    expect(code).toBe(0);
    const line = JSON.parse(readFileSync(out, 'utf8'));
    const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
    for (const side of ['chosen', 'rejected'] as const) {
      const tokens = await shown(page, side);
      expect(tokens.map(({ id }) => id)).toEqual(line[side].token_ids);
      tokens.forEach(({ value }, i) => {
        expect(Math.abs(value - line[side].rewards[i])).toBeLessThan(1e-4);
      });
      // The page shows three decimals of a sum that is right to 1e-4.
      expect(Math.abs((await numberIn(page, `sum-${side}`)) - sum(line[side].contributions))).toBeLessThan(
        6e-4,
      );
    }
    expect(problems).toEqual([]);
    await page.close();
  });

  it('switches views, compares models, sorts pairs and opens one from its row', async () => {
    const { page, problems } = await open();
    await isLive(page);
    for (const view of ['logp', 'entropy', 'kl', 'lambda', 'running']) {
      await page.getByTestId('view').selectOption(view);
      const values = await shown(page, 'chosen');
      expect(values.every(({ value }) => Number.isFinite(value))).toBe(true);
      if (view === 'logp') expect(values.every(({ value }) => value <= 0)).toBe(true);
      if (view === 'lambda') expect(values.every(({ value }) => value >= 1 && value <= 3)).toBe(true);
    }
    await page.getByTestId('model-dpo').check();
    await expect.poll(() => page.locator('.model').count(), { timeout: LIVE }).toBe(2);
    // Counted group by group after the models are there.
    await expect
      .poll(() => page.locator('[data-testid=pair-row] td:nth-child(2)').allInnerTexts(), { timeout: LIVE })
      .not.toContain('–');
    await page.getByTestId('sort-margin').click();
    const margins = (await page.locator('[data-testid=pair-row] td:nth-child(2)').allInnerTexts()).map(
      (text) => Number(text.replace('−', '-')),
    );
    expect(margins).toEqual([...margins].sort((a, b) => b - a));
    await page.getByTestId('pair-row').nth(3).click();
    const index = await page.locator('[data-testid=pair-row][aria-current]').getAttribute('data-index');
    expect(await page.getByTestId('pair').innerText()).toBe(`${Number(index) + 1} of 24`);
    expect(problems).toEqual([]);
    await page.close();
  });

  it('rescores while one types, keeps it in the URL, and a shared URL brings it back', async () => {
    const { page } = await open('#tab=edit');
    await isLive(page);
    const before = await shown(page, 'chosen');
    await page.getByTestId('edit-chosen').fill(' The fox was happy.');
    await expect.poll(async () => (await shown(page, 'chosen')).length, { timeout: LIVE }).toBe(8);
    expect(before).not.toHaveLength(8);
    const after = await shown(page, 'chosen');
    await page.getByTestId('view').selectOption('logp');
    const url = page.url();
    await page.close();
    const again = await browser.newPage();
    await again.goto(url);
    await isLive(again);
    expect((await shown(again, 'chosen')).map(({ id }) => id)).toEqual(after.map(({ id }) => id));
    expect(await again.getByTestId('view').inputValue()).toBe('logp');
    await again.close();
  });

  it('trains in the tab: curves, moving colours, pause, step and reset', async () => {
    const { page, problems } = await open('#tab=train&pair=1');
    await isLive(page);
    await page.getByTestId('train-steps').fill('5');
    await page.getByTestId('train-batch').fill('2');
    await page.getByTestId('step').click();
    await page.getByTestId('train-status').filter({ hasText: 'step 1 of 5' }).waitFor({ timeout: LIVE });
    expect(await page.getByTestId('curve').count()).toBeGreaterThanOrEqual(3);
    const trained = page.locator('.model', { hasText: 'trained in this tab' });
    await trained.waitFor();
    const colours = () =>
      trained
        .locator('[data-side=chosen]')
        .evaluateAll((t) => t.map((e) => e.getAttribute('data-value')).join());
    const first = await colours();
    await page.getByTestId('train').click();
    await page.getByTestId('train-status').filter({ hasText: 'finished' }).waitFor({ timeout: LIVE });
    expect(await page.getByTestId('train-status').innerText()).toContain('step 5 of 5');
    expect(await colours()).not.toBe(first);
    await page.getByTestId('reset').click();
    await page.getByTestId('train-status').filter({ hasText: 'not started' }).waitFor({ timeout: LIVE });
    expect(problems).toEqual([]);
    await page.close();
  });

  it('waits with a run while the tab is hidden, and goes on when one looks again', async () => {
    const { page, problems } = await open('#tab=train&pair=1');
    await isLive(page);
    // Chromium without a window never hides a tab by itself.
    const setHidden = (hidden: boolean) =>
      page.evaluate((value) => {
        Object.defineProperty(document, 'hidden', { value, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
      }, hidden);
    const status = page.getByTestId('train-status');
    await page.getByTestId('train-steps').fill('6');
    await page.getByTestId('train-batch').fill('2');
    await page.getByTestId('train').click();
    await status.filter({ hasText: 'step 1 of 6' }).waitFor({ timeout: LIVE });
    await setHidden(true);
    await status.filter({ hasText: 'waiting' }).waitFor({ timeout: LIVE });
    expect(await status.innerText()).not.toContain('step 6');
    await setHidden(false);
    await status
      .filter({ hasText: 'step 6 of 6' })
      .filter({ hasText: 'finished' })
      .waitFor({ timeout: LIVE });
    expect(problems).toEqual([]);
    await page.close();
  });

  it('lets the reference write an answer, and scores what it wrote', async () => {
    const { page, problems } = await open('#tab=edit');
    await isLive(page);
    const before = await shown(page, 'rejected');
    await page.getByTestId('writer').selectOption('reference');
    await page.getByTestId('generate-rejected').click();
    await expect
      .poll(async () => (await shown(page, 'rejected')).map(({ id }) => id), { timeout: LIVE })
      .not.toEqual(before.map(({ id }) => id));
    const written = await page.getByTestId('edit-rejected').inputValue();
    const tokens = page.locator('[data-testid=token][data-side=rejected]');
    const text = (await tokens.allInnerTexts()).join('');
    expect(text.replace(/[^a-zA-Z]/g, '')).toContain(written.replace(/[^a-zA-Z]/g, ''));
    expect(problems).toEqual([]);
    await page.close();
  });

  it('works in two tabs at once, each with an engine of its own', async () => {
    const [one, two] = [await open('#tab=edit'), await open()];
    await Promise.all([isLive(one.page), isLive(two.page)]);
    const before = await shown(two.page, 'chosen');
    await one.page.getByTestId('edit-chosen').fill(' The fox was happy.');
    await expect.poll(async () => (await shown(one.page, 'chosen')).length, { timeout: LIVE }).toBe(8);
    expect(await shown(two.page, 'chosen')).toEqual(before);
    expect([...one.problems, ...two.problems]).toEqual([]);
    await one.page.close();
    await two.page.getByTestId('view').selectOption('entropy');
    expect((await shown(two.page, 'chosen')).every(({ value }) => value >= 0)).toBe(true);
    await two.page.close();
  });

  it('draws what was cut off, and leaves it out of the sums', async () => {
    const { page } = await open('#tab=edit');
    await isLive(page);
    await page.getByTestId('edit-chosen').fill(' The fox was happy.'.repeat(90));
    const cut = page.locator('[data-testid=cut-off][data-side=chosen]');
    await cut.waitFor({ timeout: LIVE });
    expect((await cut.innerText()).length).toBeGreaterThan(10);
    await page.getByTestId('view').selectOption('contribution');
    const kept = (await shown(page, 'chosen')).reduce((sum, { value }) => sum + value, 0);
    expect(Math.abs((await numberIn(page, 'sum-chosen')) - kept)).toBeLessThan(0.06);
    await page.close();
  });

  it('shows the curves of a dropped run, without a model', async () => {
    const { page } = await open('#tab=files');
    const lines = [1, 2, 3].map((step) =>
      JSON.stringify({ step, loss: 0.7 / step, 'rewards/margins': step }),
    );
    const file = { name: 'metrics.jsonl', mimeType: 'text/plain', buffer: Buffer.from(lines.join('\n')) };
    await page.getByTestId('files').setInputFiles([file]);
    await expect.poll(() => page.locator('.tool .chart').count(), { timeout: LIVE }).toBe(2);
    await page.close();
  });

  it('says in a sentence what is wrong with a dropped file', async () => {
    const { page } = await open('#tab=files');
    await isLive(page);
    const drop = (name: string, text: string) =>
      page.getByTestId('files').setInputFiles([{ name, mimeType: 'text/plain', buffer: Buffer.from(text) }]);
    await drop('pairs.jsonl', '{"prompt": "a", "chosen": "b"}\n');
    await page
      .getByTestId('error')
      .filter({ hasText: /pairs\.jsonl:1: .*rejected/ })
      .waitFor();
    await drop('notes.txt', 'hello');
    await page
      .getByTestId('error')
      .filter({ hasText: /notes\.txt: this is neither a model folder nor/ })
      .waitFor();
    await drop('model.safetensors', 'no');
    await page
      .getByTestId('error')
      .filter({ hasText: /config\.json|too few/ })
      .waitFor();
    await drop('good.jsonl', '{"prompt": "Once", "chosen": " a cat.", "rejected": " a dog."}\n');
    await page.getByTestId('files-status').filter({ hasText: '1 pairs' }).waitFor();
    expect(await page.getByTestId('pair').innerText()).toBe('1 of 1');
    await page.close();
  });

  it('exports JSON that is what the page shows', async () => {
    const { page } = await open('#view=contribution');
    await isLive(page);
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.getByTestId('export-json').click(),
    ]);
    const exported = JSON.parse(readFileSync(await file.path(), 'utf8'));
    expect(exported.view).toBe('contribution');
    const tokens = await shown(page, 'rejected');
    expect(exported.models[0].scored.rejected.contributions).toEqual(tokens.map(({ value }) => value));
    await page.close();
  });

  it('draws a method by its production code in the playground', async () => {
    const { page, problems } = await open('#tab=playground');
    await isLive(page);
    await page.getByTestId('playground').waitFor({ timeout: LIVE });
    expect(await page.getByTestId('formula').innerText()).toContain('log sigmoid');
    await page.getByTestId('playground-lambda').locator('canvas').waitFor();
    const picture = () =>
      page
        .getByTestId('playground')
        .locator('canvas')
        .evaluate((c) => (c as HTMLCanvasElement).toDataURL());
    await page.getByTestId('playground').locator('canvas').waitFor();
    const before = await picture();
    await page.getByTestId('setting-beta').focus();
    for (let i = 0; i < 20; i++) await page.keyboard.press('ArrowRight');
    await expect.poll(picture, { timeout: LIVE }).not.toBe(before);
    await page.getByTestId('playground-method').selectOption('epsilon-dpo');
    await page.getByTestId('playground-beta').locator('canvas').waitFor({ timeout: LIVE });
    expect(problems).toEqual([]);
    await page.close();
  });

  it('has no serious accessibility violation, also at 360 px and in the dark', async () => {
    const { page } = await open();
    for (const [width, scheme] of [
      [1280, 'light'],
      [360, 'dark'],
    ] as const) {
      await page.setViewportSize({ width, height: 800 });
      await page.emulateMedia({ colorScheme: scheme });
      // The page's policy forbids scripts of others: axe goes in as the driver's own.
      const found = await page.evaluate(
        `(() => { ${AxeBuilder.source}; return axe.run(document, { resultTypes: ['violations'] }); })()`,
      );
      const { violations } = found as {
        violations: { id: string; impact: string; nodes: { html: string }[] }[];
      };
      const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
      expect(serious.map(({ id, nodes }) => `${id}: ${nodes[0].html}`)).toEqual([]);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      expect(overflow).toBeLessThanOrEqual(0);
    }
    await page.close();
  });

  it('without WebGPU still shows shipped scores, and says what has it', async () => {
    const plain = await (await import('playwright-core')).chromium.launch({
      executablePath: '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-features=WebGPU', '--disable-gpu'],
    });
    const page = await plain.newPage();
    await page.addInitScript(() => Object.defineProperty(navigator, 'gpu', { value: undefined }));
    await page.goto(server.origin);
    await page.locator('[data-testid=token][data-side=chosen]').first().waitFor();
    await page
      .getByTestId('error')
      .filter({ hasText: /WebGPU/ })
      .waitFor({ timeout: LIVE });
    expect(await page.getByTestId('source').innerText()).toBe('shipped');
    await plain.close();
  });

  it('has a worker of at most 400 kB gzipped', () => {
    const assets = readdirSync(join(built, 'assets')).filter((name) => /worker|kernel/.test(name));
    const bytes = assets.reduce(
      (sum, name) => sum + gzipSync(readFileSync(join(built, 'assets', name))).length,
      0,
    );
    expect(assets.length).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(400_000);
    expect(statSync(join(built, 'index.html')).size).toBeGreaterThan(0);
  });
});
