/**
 * The real page, built and served as any file server would, driven in Chromium with WebGPU on SwiftShader. One page is
 * opened and used from top to bottom, as a person does: an engine takes seconds to start.
 */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import AxeBuilder from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../src/cli/program.ts';
import { viewFiles } from '../../src/cli/view/view-files.ts';
import { serveView } from '../../src/cli/view/view-server.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { hasAdapter, launchChromium } from '../support/adapters.ts';
import { type Served, serve } from '../support/serve.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'prefgrad-page-'));
const built = join(folder, 'page');
const LIVE = 120_000;

interface Line {
  readonly chosen: { token_ids: number[]; rewards: number[]; contributions: number[] };
  readonly rejected: { token_ids: number[]; rewards: number[]; contributions: number[] };
}

let server: Served;
let browser: Browser;
let page: Page;
const problems: string[] = [];

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const pane = (place: number) => page.getByTestId('pane').nth(place);
/** Ids and values of one side's tokens in a pane. */
const shown = (side: string, place = 0) =>
  pane(place)
    .locator(`[data-testid=token][data-side=${side}]`)
    .evaluateAll((tokens) =>
      tokens.map((token) => ({
        id: Number(token.getAttribute('data-id')),
        value: Number(token.getAttribute('data-value')),
      })),
    );
const numberIn = async (testid: string, place = 0) =>
  Number((await pane(place).getByTestId(testid).innerText()).replace('−', '-'));
const isLive = (place = 0) =>
  expect
    .poll(async () => (await pane(place).innerText()).match(/rewards of .*/)?.[0], { timeout: LIVE })
    .not.toMatch(/not computed here/);
const tool = (name: string) => page.getByTestId(`tab-${name}`).click();
const drop = (name: string, text: string) =>
  page.getByTestId('files').setInputFiles([{ name, mimeType: 'text/plain', buffer: Buffer.from(text) }]);

/** Opens the page; every error of its scripts, and every breach of its policy, is a problem. */
async function openPage(hash = ''): Promise<Page> {
  const opened = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  opened.on('pageerror', (error) => problems.push(String(error)));
  opened.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  opened.on('request', (request) => {
    if (!request.url().startsWith(server.origin) && /^https?:/.test(request.url()))
      problems.push(request.url());
  });
  await opened.goto(`${server.origin}/${hash}`);
  await opened.locator('[data-testid=token][data-side=chosen]').first().waitFor();
  return opened;
}

/** What `prefgrad score` says of the first rows, by the shipped models. */
async function scoreLines(rows: number): Promise<Line[]> {
  const lines = readFileSync('examples/quickstart/eval.jsonl', 'utf8').split('\n').slice(0, rows);
  writeFileSync(join(folder, 'rows.jsonl'), lines.join('\n'));
  const out = join(folder, 'scores.jsonl');
  const models = ['--model', 'web/public/models/dpo-bmc', '--reference', 'web/public/models/reference'];
  const method = ['--objective', 'dpo', '--settings', 'beta=0.5', '--bmc'];
  const args = ['score', ...models, ...method, '--data', join(folder, 'rows.jsonl'), '--out', out];
  const cli = { out() {}, err() {}, terminal: undefined, runtime: async () => nodeRuntime(), exitCode: 0 };
  expect(await runCli(args, cli)).toBe(0);
  const text = readFileSync(out, 'utf8').trim();
  return text.split('\n').map((line) => JSON.parse(line) as Line);
}

describe.skipIf(!hasAdapter('chromium'))('the page', () => {
  let lines: Line[];

  beforeAll(async () => {
    await build({ configFile: `${root}web/vite.config.ts`, logLevel: 'silent', build: { outDir: built } });
    server = await serve(built);
    browser = await launchChromium();
    page = await openPage();
    lines = await scoreLines(2);
  }, 240_000);

  afterAll(async () => {
    await browser?.close();
    await server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('shows one model at once, in colours whose sums stand beside them', async () => {
    expect(await page.getByTestId('pane').count()).toBe(1);
    expect(await page.getByTestId('view').inputValue()).toBe('contribution');
    expect(await pane(0).locator('[data-side=chosen]:not(.z0)').count()).toBeGreaterThan(5);
    for (const side of ['chosen', 'rejected']) {
      const total = sum((await shown(side)).map(({ value }) => value));
      expect(Math.abs((await numberIn(`sum-${side}`)) - total)).toBeLessThan(1e-3);
    }
  });

  it('replaces them by live ones, which are those of prefgrad score', async () => {
    await page.getByTestId('source').filter({ hasText: 'live' }).waitFor({ timeout: LIVE });
    for (const side of ['chosen', 'rejected'] as const) {
      const tokens = await shown(side);
      expect(tokens.map(({ id }) => id)).toEqual(lines[0][side].token_ids);
      tokens.forEach(({ value }, i) => {
        expect(Math.abs(value - lines[0][side].contributions[i])).toBeLessThan(3e-4);
      });
    }
    // BMC's weighted margin is the large number; the unweighted one stands beside it.
    const margin = sum(lines[0].chosen.contributions) - sum(lines[0].rejected.contributions);
    const plain = sum(lines[0].chosen.rewards) - sum(lines[0].rejected.rewards);
    expect(Math.abs((await numberIn('margin')) - margin)).toBeLessThan(2e-3);
    expect(await pane(0).innerText()).toContain(`unweighted margin ${plain.toFixed(3)}`);
  });

  it('colours by every quantity, and prose stays prose', async () => {
    for (const view of ['logp', 'entropy', 'kl', 'lambda', 'running', 'reward']) {
      await page.getByTestId('view').selectOption(view);
      const values = await shown('chosen');
      expect(values.every(({ value }) => Number.isFinite(value))).toBe(true);
      if (view === 'logp') expect(values.every(({ value }) => value <= 0)).toBe(true);
      if (view === 'lambda') expect(values.every(({ value }) => value >= 1 && value <= 3)).toBe(true);
    }
    const text = await pane(0).locator('.answer.rejected .prose').innerText();
    expect(text.replace(/\s+/g, ' ')).toContain('The fox saw the foot was a little boy');
    const [padding] = await pane(0)
      .locator('[data-testid=token]')
      .evaluateAll((tokens) => tokens.map((token) => getComputedStyle(token).paddingLeft));
    expect(padding).toBe('0px');
    await page.getByTestId('view').selectOption('contribution');
  });

  it('opens pairs from its sorted list, and by keys', async () => {
    await page.getByTestId('order').selectOption('margin');
    const margins = await page.getByTestId('row-margin').allInnerTexts();
    const values = margins.map((text) => Number(text.replace('−', '-')));
    expect(values.length).toBeGreaterThan(5);
    expect(values).toEqual([...values].sort((a, b) => b - a));
    await page.getByTestId('pair-row').nth(3).click();
    const index = await page.locator('[data-testid=pair-row][aria-current]').getAttribute('data-index');
    expect(await page.getByTestId('pair').innerText()).toBe(`${Number(index) + 1} of 24`);
    await page.getByTestId('order').selectOption('index');
    await page.locator('.rows').focus();
    await page.keyboard.press('Home');
    expect(await page.getByTestId('pair').innerText()).toBe('1 of 24');
    await page.keyboard.press('j');
    expect(await page.getByTestId('pair').innerText()).toBe('2 of 24');
    await page.keyboard.press('k');
  });

  it('is used by keyboard alone: one tab stop for all tokens, arrows between them, a sheet of keys', async () => {
    await page.keyboard.press('?');
    expect(await page.getByTestId('key-sheet').innerText()).toContain('next and previous pair');
    await page.keyboard.press('Escape');
    const first = pane(0).locator('[data-side=chosen][data-index="0"]');
    await first.focus();
    await page.keyboard.press('ArrowRight');
    expect(await page.evaluate(() => document.activeElement?.getAttribute('data-index'))).toBe('1');
    await page.keyboard.press('ArrowDown');
    expect(await page.evaluate(() => document.activeElement?.getAttribute('data-side'))).toBe('rejected');
    expect(await page.locator('[data-testid=token][tabindex="0"]').count()).toBe(1);
    expect(await page.locator('.inspector').innerText()).toMatch(/token 2 of \d+/);
  });

  it('puts a second model beside the first, each with its own method, and subtracts them', async () => {
    await page.getByTestId('add-pane').click();
    await expect.poll(() => page.getByTestId('pane').count()).toBe(2);
    await isLive(1);
    await pane(1).getByTestId('method').selectOption('mipo');
    await expect.poll(() => pane(1).innerText(), { timeout: LIVE }).toContain('rewards of mipo');
    expect(await pane(0).innerText()).toContain('rewards of dpo with BMC weights');
    await pane(1).getByTestId('method').selectOption('own');
    const [a, b] = [await shown('chosen', 0), await shown('chosen', 1)];
    await page.getByTestId('difference').click();
    const difference = await shown('chosen');
    difference.forEach(({ value }, i) => {
      expect(value).toBeCloseTo(a[i].value - b[i].value, 6);
    });
    await page.getByTestId('difference').click();
    await page.getByRole('button', { name: 'close pane 2' }).click();
  });

  it('rescores while one types, and a shared URL brings the text back', async () => {
    await tool('edit');
    await page.getByTestId('edit-chosen').fill(' The fox was happy.');
    await expect.poll(async () => (await shown('chosen')).length, { timeout: LIVE }).toBe(8);
    expect(await page.evaluate(() => location.hash)).toContain('The+fox+was+happy');
    await page.getByTestId('writer').selectOption('reference');
    await page.getByTestId('generate-rejected').click();
    await expect
      .poll(() => page.getByTestId('edit-rejected').inputValue(), { timeout: LIVE })
      .toMatch(/\w{3}/);
    await page.getByTestId('edit-chosen').fill(' The fox was happy.'.repeat(90));
    const cut = page.locator('[data-testid=cut-off][data-side=chosen]');
    await cut.waitFor({ timeout: LIVE });
    const kept = sum((await shown('chosen')).map(({ value }) => value));
    expect(Math.abs((await numberIn('sum-chosen')) - kept)).toBeLessThan(0.06);
  });

  it('shows dropped rows at once, while any pair is open', async () => {
    await tool('files');
    await drop('mine.jsonl', '{"prompt": "Once", "chosen": " a cat sat.", "rejected": " a dog sat."}\n');
    await page
      .getByTestId('files-status')
      .filter({ hasText: 'mine.jsonl: 1 pairs' })
      .waitFor({ timeout: LIVE });
    expect(await page.getByTestId('pair').innerText()).toBe('1 of 1');
    expect(await page.getByTestId('prompt').innerText()).toBe('Once');
    await expect.poll(() => pane(0).innerText(), { timeout: LIVE }).toContain('a cat sat.');
    expect(await page.getByTestId('rows-origin').innerText()).toContain('mine.jsonl (your rows)');
  });

  it('shows a score file as it is, also beside a model', async () => {
    await drop('scores.jsonl', readFileSync(join(folder, 'scores.jsonl'), 'utf8'));
    await page.getByTestId('files-status').filter({ hasText: 'scores of 2 pairs' }).waitFor();
    const exact = async () => {
      for (const side of ['chosen', 'rejected'] as const)
        expect((await shown(side)).map(({ value }) => value)).toEqual(lines[0][side].contributions);
    };
    await exact();
    expect(await pane(0).innerText()).toContain('your score file, as it is');
    await page.getByTestId('add-pane').click();
    await isLive(1);
    await exact();
    expect((await shown('chosen', 1)).map(({ id }) => id)).toEqual(lines[0].chosen.token_ids);
    await page.getByRole('button', { name: 'close pane 2' }).click();
  });

  it('opens a run directory: its metrics, and its checkpoints by a slider', async () => {
    const run = join(folder, 'my-run');
    mkdirSync(run);
    cpSync('web/public/models/dpo', join(run, 'checkpoint-10'), { recursive: true });
    cpSync('web/public/models/dpo-bmc', join(run, 'model'), { recursive: true });
    const metrics = [1, 2, 3].map((step) => ({ step, loss: 0.7 / step, 'rewards/margins': step }));
    writeFileSync(join(run, 'metrics.jsonl'), metrics.map((line) => JSON.stringify(line)).join('\n'));
    const config = { objective: { name: 'dpo', settings: { beta: 0.25 } } };
    writeFileSync(join(run, 'checkpoint-10/trainer_state.json'), JSON.stringify({ config }));
    await page.getByTestId('folder').setInputFiles(run);
    await page.getByTestId('files-status').filter({ hasText: '2 models' }).waitFor({ timeout: LIVE });
    await isLive();
    await expect.poll(() => pane(0).innerText(), { timeout: LIVE }).toContain('rewards of dpo, β 0.25');
    expect(await page.getByTestId('source').innerText()).toContain('run my-run');
    const final = await shown('chosen');
    await page.getByTestId('checkpoint-0').fill('0');
    await expect.poll(() => shown('chosen'), { timeout: LIVE }).not.toEqual(final);
    await tool('charts');
    await expect.poll(() => page.getByTestId('curve').locator('svg').count()).toBe(2);
    expect(await page.getByTestId('ranked').innerText()).toMatch(/% of the tokens make half of the margin/);
  });

  it('says in a sentence what is wrong with a file', async () => {
    await tool('files');
    const error = (text: RegExp) => page.getByTestId('error').filter({ hasText: text }).waitFor();
    await drop('pairs.jsonl', '{"prompt": "a", "chosen": "b"}\n');
    await error(/pairs\.jsonl:1: .*rejected/);
    await drop('notes.txt', 'hello');
    await error(/notes\.txt: this is neither a model folder/);
    await drop('config.json', 'no');
    await error(/config\.json|tokenizer\.json|too few/);
  });

  it('exports JSON that is what the page shows', async () => {
    await page.locator('.export summary').click();
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.getByTestId('export-json').click(),
    ]);
    const exported = JSON.parse(readFileSync(await file.path(), 'utf8'));
    expect(exported.view).toBe('contribution');
    const tokens = await shown('rejected');
    expect(exported.models[0].scored.rejected.contributions).toEqual(tokens.map(({ value }) => value));
  });

  it('draws losses by their production code', async () => {
    await tool('playground');
    await page.getByTestId('playground').locator('canvas').waitFor({ timeout: LIVE });
    expect(await page.getByTestId('formula').innerText()).toContain('log sigmoid');
    await page.getByTestId('playground-start').locator('canvas').waitFor({ timeout: LIVE });
    await page.getByTestId('playground-lambda').locator('canvas').waitFor({ timeout: LIVE });
  });

  it('trains: progress, curves, moving colours, pause while hidden; and keeps the run to compare with', async () => {
    await tool('train');
    await page.getByTestId('train-steps').fill('4');
    await page.getByTestId('train-batch').fill('2');
    await page.getByTestId('step').click();
    const status = page.getByTestId('train-status');
    await status.filter({ hasText: 'step 1 of 4' }).waitFor({ timeout: LIVE });
    expect(await page.getByTestId('curve').count()).toBeGreaterThanOrEqual(3);
    const trained = page.getByTestId('pane').last();
    const colours = () =>
      trained
        .locator('[data-side=chosen]')
        .evaluateAll((t) => t.map((e) => e.getAttribute('data-value')).join());
    const first = await colours();
    // Chromium without a window never hides a tab by itself.
    const setHidden = (hidden: boolean) =>
      page.evaluate((value) => {
        Object.defineProperty(document, 'hidden', { value, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
      }, hidden);
    await page.getByTestId('train').click();
    await status.filter({ hasText: 'step 2 of 4' }).waitFor({ timeout: LIVE });
    await setHidden(true);
    await status.filter({ hasText: 'waiting' }).waitFor({ timeout: LIVE });
    await setHidden(false);
    await status
      .filter({ hasText: 'step 4 of 4' })
      .filter({ hasText: 'finished' })
      .waitFor({ timeout: LIVE });
    expect(await colours()).not.toBe(first);
    await page.getByTestId('reset').click();
    await status.filter({ hasText: 'not started' }).waitFor({ timeout: LIVE });
    await page.getByTestId('pane-source-0').selectOption({ label: 'run 1: dpo with BMC' });
    await isLive();
  });

  it('has no serious accessibility violation, in any tool, also at 360 px and in the dark', async () => {
    for (const [width, scheme] of [
      [1280, 'light'],
      [360, 'dark'],
    ] as const) {
      await page.setViewportSize({ width, height: 800 });
      await page.emulateMedia({ colorScheme: scheme });
      for (const name of ['token', 'charts', 'edit', 'train', 'files']) {
        await tool(name);
        // The page's policy forbids scripts of others: axe goes in as the driver's own.
        const found = await page.evaluate(
          `(() => { ${AxeBuilder.source}; return axe.run(document, { resultTypes: ['violations'] }); })()`,
        );
        const { violations } = found as {
          violations: { id: string; impact: string; nodes: { html: string }[] }[];
        };
        const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
        expect(serious.map(({ id, nodes }) => `${name} ${id}: ${nodes[0].html}`)).toEqual([]);
      }
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      expect(overflow).toBeLessThanOrEqual(0);
    }
  });

  it('opens what prefgrad view serves', async () => {
    const sources = viewFiles([join(folder, 'scores.jsonl')], undefined);
    const names = readdirSync(built, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.includes('.'),
    );
    const view = await serveView(new Map(names.map((name) => [name, join(built, name)])), sources, 0);
    const opened = await browser.newPage();
    await opened.goto(view.url);
    await opened.getByTestId('source').filter({ hasText: 'your score file' }).waitFor({ timeout: LIVE });
    const ids = await opened
      .locator('[data-testid=token][data-side=chosen]')
      .evaluateAll((tokens) => tokens.map((token) => Number(token.getAttribute('data-id'))));
    expect(ids).toEqual(lines[0].chosen.token_ids);
    await opened.close();
    await view.close();
  });

  it('without WebGPU still shows shipped scores, and says what has it', async () => {
    const other = await chromium.launch({
      executablePath: '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-features=WebGPU', '--disable-gpu'],
    });
    const plain = await other.newPage();
    await plain.goto(`${server.origin}/#tool=train`);
    await plain.locator('[data-testid=token][data-side=chosen]').first().waitFor();
    await plain
      .getByTestId('error')
      .filter({ hasText: /WebGPU/ })
      .waitFor({ timeout: LIVE });
    expect(await plain.getByTestId('source').innerText()).toBe('shipped: bundled example');
    expect(await plain.locator('#tool').innerText()).toContain('Training needs WebGPU');
    await other.close();
  });

  it('breaks nothing: no error, no request elsewhere, no breach of its policy', () => {
    expect(problems).toEqual([]);
  });

  it('loads at most 150 kB before its first colours, and an engine of at most 400 kB, gzipped', () => {
    const sizes = new Map(
      readdirSync(join(built, 'assets')).map((name) => [
        name,
        gzipSync(readFileSync(join(built, 'assets', name))).length,
      ]),
    );
    const html = readFileSync(join(built, 'index.html'), 'utf8');
    const first = [...sizes].filter(([name]) => html.includes(name));
    const scores = gzipSync(readFileSync(join(built, 'scores.json'))).length;
    expect(first.length).toBeGreaterThanOrEqual(2);
    expect(sum(first.map(([, size]) => size)) + scores).toBeLessThan(150_000);
    const engine = [...sizes].filter(([name]) => /worker|kernel/.test(name));
    expect(engine.length).toBeGreaterThan(0);
    expect(sum(engine.map(([, size]) => size))).toBeLessThan(400_000);
  });
});
