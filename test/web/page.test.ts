/**
 * The real page, built and served as any file server would, driven in Chromium with WebGPU on SwiftShader. One page is
 * opened and used from top to bottom, as a person does: an engine takes seconds to start. Rows are short, so that little has to
 * be computed.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { viewFiles } from '../../src/cli/view/view-files.ts';
import { serveView } from '../../src/cli/view/view-server.ts';
import { hasAdapter } from '../support/adapters.ts';
import { Driver, jsonLines, LIVE, type ScoreLine, SHORT, sum } from './driver.ts';

const d = new Driver();

describe.skipIf(!hasAdapter('chromium'))('the page', () => {
  let lines: ScoreLine[];

  beforeAll(async () => {
    await d.start();
    lines = await d.scoreLines(2);
  }, 240_000);

  afterAll(() => d.close());

  it('shows one model at once, in colours whose sums stand beside them', async () => {
    expect(await d.page.getByTestId('pane').count()).toBe(1);
    // Live numbers may take the place of shipped ones between two looks.
    await vi.waitFor(async () => {
      for (const side of ['chosen', 'rejected'] as const) {
        const total = sum((await d.shown(side)).map(({ value }) => value));
        expect(Math.abs((await d.numberIn(`sum-${side}`)) - total)).toBeLessThan(1e-3);
      }
      const sums = [await d.numberIn('sum-chosen'), await d.numberIn('sum-rejected')];
      expect(await d.numberIn('margin')).toBeCloseTo(sums[0] - sums[1], 2);
    }, 10_000);
    expect(await d.page.getByTestId('row-margin').first().innerText()).toMatch(/^−?\d+\.\d+$/);
  });

  it('can be driven from outside by the ids that it keeps', async () => {
    const view = d.page.getByTestId('view');
    expect(await view.evaluate((element) => element.tagName)).toBe('SELECT');
    expect(await view.inputValue()).toBe('contribution');
    expect(await view.locator('option[value=contribution]').count()).toBe(1);
    expect(await d.page.getByTestId('method').first().isVisible()).toBe(true);
    expect(await d.page.getByTestId('tab-train').isVisible()).toBe(true);
    const colours = await d
      .pane()
      .locator('[data-testid=token]')
      .evaluateAll((tokens) =>
        tokens.map((token) => ({
          isPlain: token.classList.contains('z0'),
          colour: getComputedStyle(token).backgroundColor,
          id: token.getAttribute('data-id'),
        })),
      );
    expect(colours.filter(({ isPlain }) => !isPlain).length).toBeGreaterThan(5);
    for (const { isPlain, colour, id } of colours) {
      expect(colour === 'rgba(0, 0, 0, 0)').toBe(isPlain);
      expect(id).toMatch(/^\d+$/);
    }
  });

  it('tells a newcomer its story in three captions, by keyboard alone', async () => {
    const reach = async (testid: string) => {
      for (let stops = 0; stops < 40; stops++) {
        const at = await d.page.evaluate(() => document.activeElement?.getAttribute('data-testid'));
        if (at === testid) return;
        await d.page.keyboard.press('Tab');
      }
      throw new Error(`${testid} is not reached by Tab.`);
    };
    await d.page.keyboard.press('Tab');
    expect(await d.page.evaluate(() => document.activeElement?.textContent)).toBe('Skip to the answers');
    const story = d.page.locator('.story');
    expect(await story.innerText()).toContain('Both answers begin alike');
    await reach('story-next');
    await d.page.keyboard.press('Enter');
    expect(await story.innerText()).toContain('DPO-BMC weighs what differs');
    expect(await d.page.getByTestId('view').inputValue()).toBe('lambda');
    await reach('story-next');
    await d.page.keyboard.press('Enter');
    expect(await story.innerText()).toContain('Train, and watch it move');
    expect(await d.page.getByTestId('tab-train').getAttribute('aria-selected')).toBe('true');
    await reach('story-next');
    await d.page.keyboard.press('Enter');
    expect(await story.isVisible()).toBe(false);
    expect(await d.page.getByTestId('view').inputValue()).toBe('contribution');
    await d.page.keyboard.press('1');
    expect(await d.page.getByTestId('tab-token').getAttribute('aria-selected')).toBe('true');
  });

  it('replaces them by live ones, which are those of prefgrad score', async () => {
    await d.page.getByTestId('source').filter({ hasText: 'live' }).waitFor(LIVE);
    for (const side of ['chosen', 'rejected'] as const) {
      const tokens = await d.shown(side);
      expect(tokens.map(({ id }) => id)).toEqual(lines[0][side].token_ids);
      tokens.forEach(({ value }, i) => {
        expect(Math.abs(value - lines[0][side].contributions[i])).toBeLessThan(3e-4);
      });
    }
    // BMC's weighted margin is the large number; the unweighted one stands beside it.
    const margin = sum(lines[0].chosen.contributions) - sum(lines[0].rejected.contributions);
    const plain = sum(lines[0].chosen.rewards) - sum(lines[0].rejected.rewards);
    expect(Math.abs((await d.numberIn('margin')) - margin)).toBeLessThan(2e-3);
    expect(await d.pane().innerText()).toContain(`unweighted margin ${plain.toFixed(3)}`);
  });

  it('colours by every quantity, and prose stays prose', async () => {
    for (const view of ['logp', 'entropy', 'kl', 'lambda', 'running', 'reward']) {
      await d.page.getByTestId('view').selectOption(view);
      const values = await d.shown('chosen');
      expect(values.every(({ value }) => Number.isFinite(value))).toBe(true);
      if (view === 'logp') expect(values.every(({ value }) => value <= 0)).toBe(true);
      if (view === 'lambda') expect(values.every(({ value }) => value >= 1 && value <= 3)).toBe(true);
    }
    const text = await d.pane().locator('.answer.rejected .prose').innerText();
    expect(text.replace(/\s+/g, ' ')).toContain('The fox saw the foot was a little boy');
    const [padding] = await d
      .pane()
      .locator('[data-testid=token]')
      .evaluateAll((tokens) => tokens.map((token) => getComputedStyle(token).paddingLeft));
    expect(padding).toBe('0px');
    await d.page.getByTestId('view').selectOption('contribution');
  });

  it('explains its words where they stand, and lists its keys', async () => {
    await d.pane().locator('.term', { hasText: 'unweighted margin' }).click();
    expect(await d.page.locator('.term-text:popover-open').innerText()).toContain('without token weights');
    await d.page.keyboard.press('Escape');
    await d.page.keyboard.press('?');
    expect(await d.page.getByTestId('key-sheet').innerText()).toContain('next and previous pair');
    await d.page.keyboard.press('Escape');
  });

  it('has one tab stop for all tokens, and arrows between them', async () => {
    await d.pane().locator('[data-side=chosen][data-index="0"]').focus();
    await d.page.keyboard.press('ArrowRight');
    const active = (name: string) =>
      d.page.evaluate((of) => document.activeElement?.getAttribute(of), `data-${name}`);
    expect(await active('index')).toBe('1');
    await d.page.keyboard.press('ArrowDown');
    expect(await active('side')).toBe('rejected');
    expect(await d.page.locator('[data-testid=token][tabindex="0"]').count()).toBe(1);
    expect(await d.page.locator('.inspector').innerText()).toMatch(/token 2 of \d+/);
  });

  it('opens pairs from its sorted list, by keys, and from charts', async () => {
    const open = () => d.page.getByTestId('pair').innerText();
    await d.tool('charts');
    expect(await d.page.getByTestId('ranked').innerText()).toMatch(/% of the tokens make half of the margin/);
    const bar = d.page.getByTestId('ranked').locator('rect').first();
    const named = (await d.page.getByTestId('ranked').locator('rect title').first().textContent()) ?? '';
    await bar.hover();
    const pointed = d.pane().locator('[data-testid=token][aria-pressed=true]');
    const [side, index] = [await pointed.getAttribute('data-side'), await pointed.getAttribute('data-index')];
    expect(named).toBe(`${side}, token ${Number(index) + 1}`);
    await d.page.getByTestId('histogram').locator('circle').nth(2).click();
    expect(await open()).toBe('3 of 24');
    await d.page.getByTestId('order').selectOption('margin');
    const margins = await d.page.getByTestId('row-margin').allInnerTexts();
    const values = margins.map((text) => Number(text.replace('−', '-')));
    expect(values.length).toBeGreaterThan(5);
    expect(values).toEqual([...values].sort((a, b) => b - a));
    await d.page.getByTestId('order').selectOption('index');
    await d.page.locator('.rows').focus();
    await d.page.keyboard.press('Home');
    await d.page.keyboard.press('j');
    expect(await open()).toBe('2 of 24');
    await d.tool('token');
  });

  it('shows dropped rows at once, whichever pair is open', async () => {
    await d.tool('files');
    await d.drop('mine.jsonl', jsonLines([SHORT[1], SHORT[0]]));
    await d.opened('mine.jsonl: 2 pairs');
    expect(await d.page.getByTestId('pair').innerText()).toBe('1 of 2');
    await expect.poll(() => d.pane().innerText(), LIVE).toContain('a girl ran.');
    // The first pair is open, and stays the first.
    await d.drop('others.jsonl', jsonLines(SHORT));
    await d.opened('others.jsonl: 2 pairs');
    expect(await d.page.getByTestId('prompt').innerText()).toBe('Once');
    await expect.poll(() => d.pane().innerText(), LIVE).toContain('a cat sat.');
    expect(await d.page.getByTestId('rows-origin').innerText()).toContain('others.jsonl (your rows)');
  });

  it('puts a second model beside the first, each with its own method, and subtracts them', async () => {
    await d.page.getByTestId('add-pane').click();
    await expect.poll(() => d.page.getByTestId('pane').count()).toBe(2);
    expect(await d.page.getByTestId('prompt').count()).toBe(1);
    await d.isLive(1);
    await d.pane(1).getByTestId('method').selectOption('simpo');
    await d.isLive(1, /rewards of simpo/);
    expect(await d.pane().innerText()).toContain('rewards of dpo with BMC weights');
    const [a, b] = [await d.shown('chosen'), await d.shown('chosen', 1)];
    await d.page.getByTestId('difference').click();
    (await d.shown('chosen')).forEach(({ value }, i) => {
      expect(value).toBeCloseTo(a[i].value - b[i].value, 6);
    });
    await d.page.getByTestId('difference').click();
    await d.tool('charts');
    const points = d.page.getByTestId('scatter').locator('circle');
    await expect.poll(() => points.count(), LIVE).toBe(2);
    await points.nth(1).click();
    expect(await d.page.getByTestId('pair').innerText()).toBe('2 of 2');
    await d.page.locator('.rows').focus();
    await d.page.keyboard.press('Home');
    await d.tool('files');
  });

  it('shows one model at a time on a phone, and its tools in a sheet', async () => {
    await d.page.setViewportSize({ width: 390, height: 844 });
    await d.page.getByTestId('sheet-close').click();
    await d.page.getByTestId('front-1').click();
    expect([await d.pane(0).isVisible(), await d.pane(1).isVisible()]).toEqual([false, true]);
    const sheet = d.page.locator('#tool');
    await d.pane(1).locator('[data-side=chosen][data-index="1"]').click();
    expect(await sheet.isVisible()).toBe(true);
    await d.page.getByTestId('sheet-close').click();
    expect(await sheet.isVisible()).toBe(false);
    await d.tool('files');
    expect(await sheet.isVisible()).toBe(true);
    const overflow = await d.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(overflow).toBeLessThanOrEqual(0);
    await d.page.setViewportSize({ width: 1280, height: 900 });
    await d.page.getByRole('button', { name: 'close pane 2' }).click();
  });

  it('rescores while one types, and a shared URL brings the text back', async () => {
    await d.tool('edit');
    await d.page.getByTestId('edit-chosen').fill(' The fox was happy.');
    await expect.poll(async () => (await d.shown('chosen')).length, LIVE).toBe(8);
    expect(await d.page.evaluate(() => location.hash)).toContain('The+fox+was+happy');
    await d.page.getByTestId('writer').selectOption('reference');
    await d.page.getByTestId('generate-rejected').click();
    await expect.poll(() => d.page.getByTestId('edit-rejected').inputValue(), LIVE).toMatch(/\w{3}/);
    // It goes on while something else is opened, and must not come back over it.
  });

  it('shows a score file as it is, also beside a model', async () => {
    await d.tool('files');
    await d.drop('scores.jsonl', readFileSync(join(d.folder, 'scores.jsonl'), 'utf8'));
    await d.opened('scores of 2 pairs');
    const exact = async () => {
      for (const side of ['chosen', 'rejected'] as const)
        expect((await d.shown(side)).map(({ value }) => value)).toEqual(lines[0][side].contributions);
    };
    await exact();
    expect(await d.pane().innerText()).toContain('your score file, as it is');
    const source = d.page.getByTestId('source');
    expect(await source.innerText()).toBe('your score file, as it is');
    expect(await d.page.getByTestId('prompt').innerText()).toMatch(/^[A-Z][a-z]+ /);
    await d.page.getByTestId('add-pane').click();
    await d.isLive(1);
    expect(await source.innerText()).toMatch(/^your score file, as it is, live: /);
    await exact();
    expect((await d.shown('chosen', 1)).map(({ id }) => id)).toEqual(lines[0].chosen.token_ids);
    await d.page.getByRole('button', { name: 'close pane 2' }).click();
  });

  it('opens a run directory: metrics, checkpoints by a slider, figures, an own reference', async () => {
    await d.drop('mine.jsonl', jsonLines(SHORT));
    await d.opened('mine.jsonl');
    const run = join(d.folder, 'my-run');
    mkdirSync(join(run, 'figures'), { recursive: true });
    cpSync('web/public/models/dpo', join(run, 'checkpoint-10'), { recursive: true });
    cpSync('web/public/models/dpo-bmc', join(run, 'model'), { recursive: true });
    const metrics = [1, 2, 3].map((step) => ({ step, loss: 0.7 / step, 'rewards/margins': step }));
    writeFileSync(join(run, 'metrics.jsonl'), jsonLines(metrics));
    const config = { objective: { name: 'dpo', settings: { beta: 0.25 } } };
    writeFileSync(join(run, 'checkpoint-10/trainer_state.json'), JSON.stringify({ config }));
    const series = [{ name: 'dpo', mark: 'line', points: [{ x: 1, y: 2 }] }];
    const axes = { x: { label: 'step' }, y: { label: 'KL', unit: 'nats' } };
    const figure = {
      kind: 'figure',
      name: 'bmc-9',
      title: 'KL over the steps',
      caption: 'Held-out.',
      ...axes,
    };
    writeFileSync(join(run, 'figures/bmc-9.json'), JSON.stringify({ ...figure, series, source: ['my-run'] }));
    await d.page.getByTestId('folder').setInputFiles(run);
    await d.opened('2 models, 1 figures');
    await d.isLive(0, /rewards of dpo, β 0\.25/);
    expect(await d.page.getByTestId('source').innerText()).toContain('run my-run');
    const final = await d.shown('chosen');
    await d.page.getByTestId('checkpoint-0').fill('0');
    await expect.poll(() => d.shown('chosen'), LIVE).not.toEqual(final);
    // Two own checkpoints, one of them the reference.
    await d.page.getByTestId('add-pane').click();
    await d.page.getByTestId('pane-source-1').selectOption({ label: 'my-run, final' });
    await d.page.getByTestId('pane-reference-1').selectOption({ label: 'my-run, step 10' });
    await d.isLive(1);
    expect((await d.shown('chosen', 1)).map(({ value }) => value)).not.toEqual(
      final.map(({ value }) => value),
    );
    await d.page.getByRole('button', { name: 'close pane 2' }).click();
    await d.drop('more.jsonl', jsonLines(metrics.map((line) => ({ ...line, loss: 0.1 }))));
    const curve = d.page.getByTestId('curve');
    await expect.poll(() => curve.locator('svg').count(), LIVE).toBe(2);
    expect(await curve.first().innerHTML()).toMatch(/my-run.*more\.jsonl/s);
    expect(await d.page.getByTestId('analysis').innerText()).toContain('Held-out. From my-run.');
    await d.page.getByTestId('analysis').locator('svg').waitFor();
    // A figure alone, as `prefgrad analyze` wrote it.
    await d.tool('files');
    await d.drop(
      'kl.json',
      JSON.stringify({ ...figure, name: 'bmc-8', caption: 'Alone.', series, source: ['other'] }),
    );
    await d.page
      .getByTestId('analysis')
      .filter({ hasText: 'Alone. From other.' })
      .locator('svg')
      .waitFor(LIVE);
  });

  it('reads long answers, right to left, other scripts and emoji, and scrolls ten thousand pairs', async () => {
    const side = (tokens: readonly string[]) => {
      const numbers = tokens.map((_, i) => (i % 3) - 1);
      const token_ids = tokens.map((_, i) => i);
      return { token_ids, tokens, logps: numbers, diff: numbers.map(() => 0), contributions: numbers };
    };
    const texts = [
      '\u05d4\u05d9\u05d0 \u05e8\u05e6\u05d4',
      '彼女は 走った。',
      '👩‍🚀 run() 🌕',
      'See:\n```py\n x = 1\n```\n now.',
    ];
    const long = Array.from({ length: 2000 }, (_, i) => `word${i} `);
    const lines = Array.from({ length: 10_000 }, (_, i) => ({
      prompt: { token_ids: [i], text: `Row ${i}` },
      chosen: side(i === 9999 ? long : (texts[i] ?? 'a cat').split(/(?= )/)),
      rejected: side(['a', ' dog']),
    }));
    await d.tool('files');
    await d.drop('many.jsonl', jsonLines(lines));
    await d.opened('many.jsonl: scores of 10000 pairs');
    await d.page.locator('.rows').focus();
    expect(await d.page.getByTestId('pair-row').count()).toBeLessThan(60);
    const prose = d.pane().locator('.answer.chosen .prose');
    for (const [i, text] of texts.entries()) {
      expect(await prose.innerText()).toBe(text);
      expect(await prose.evaluate((element) => element.matches(':dir(rtl)'))).toBe(i === 0);
      await d.page.keyboard.press('ArrowDown');
    }
    await d.page.keyboard.press('ArrowUp');
    expect((await prose.locator('.code').allInnerTexts()).join('')).toBe('See:\n```py\n x = 1\n```\n');
    await d.page.keyboard.press('End');
    expect(await d.page.getByTestId('pair').innerText()).toBe('10000 of 10000');
    expect(await d.page.getByTestId('pair-row').last().innerText()).toContain('10000');
    const values = (await d.shown('chosen')).map(({ value }) => value);
    expect([values.length, await d.numberIn('sum-chosen')]).toEqual([2000, sum(values)]);
  });

  it('says in a sentence what is wrong with a file', async () => {
    const error = (text: RegExp) => d.page.getByTestId('error').filter({ hasText: text }).waitFor();
    await d.drop('pairs.jsonl', '{"prompt": "a", "chosen": "b"}\n');
    await error(/pairs\.jsonl:1: .*rejected/);
    await d.drop('notes.txt', 'hello');
    await error(/notes\.txt: this is neither a model folder/);
    await d.drop('config.json', 'no');
    await error(/config\.json|tokenizer\.json|too few/);
    await d.drop('mine.jsonl', jsonLines(SHORT));
    await d.opened('mine.jsonl');
    expect(await d.page.getByTestId('error').isVisible()).toBe(false);
  });

  it('exports JSON that is what the page shows', async () => {
    await d.page.getByTestId('pane-source-0').selectOption('dpo-bmc');
    await d.isLive();
    await d.page.locator('.export summary').click();
    const [file] = await Promise.all([
      d.page.waitForEvent('download'),
      d.page.getByTestId('export-json').click(),
    ]);
    const exported = JSON.parse(readFileSync(await file.path(), 'utf8'));
    expect(exported.view).toBe('contribution');
    const tokens = await d.shown('rejected');
    expect(exported.models[0].scored.rejected.contributions).toEqual(tokens.map(({ value }) => value));
  });

  it('draws losses by their production code', async () => {
    await d.tool('playground');
    await d.page.getByTestId('playground').locator('canvas').waitFor(LIVE);
    expect(await d.page.getByTestId('formula').innerText()).toContain('log sigmoid');
    for (const figure of ['start', 'lambda'])
      await d.page.getByTestId(`playground-${figure}`).locator('canvas').waitFor(LIVE);
  });

  it('has no serious accessibility violation, in any tool, nor on a phone in the dark', async () => {
    await d.tool('files');
    await d.drop('mine.jsonl', jsonLines(SHORT));
    await d.opened('mine.jsonl');
    for (const name of ['token', 'charts', 'edit', 'train', 'playground', 'files']) {
      await d.tool(name);
      expect([name, await d.violations()]).toEqual([name, []]);
    }
    await d.page.setViewportSize({ width: 360, height: 800 });
    await d.page.emulateMedia({ colorScheme: 'dark' });
    for (const name of ['train', 'token']) {
      await d.tool(name);
      expect([name, await d.violations()]).toEqual([name, []]);
    }
    const overflow = await d.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(overflow).toBeLessThanOrEqual(0);
  });

  it('opens what prefgrad view serves', async () => {
    const sources = viewFiles([join(d.folder, 'scores.jsonl')], undefined);
    const names = readdirSync(d.built, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.includes('.'),
    );
    const view = await serveView(new Map(names.map((name) => [name, join(d.built, name)])), sources, 0);
    const opened = await d.browser.newPage();
    await opened.goto(view.url);
    await opened.getByTestId('source').filter({ hasText: 'your score file' }).waitFor(LIVE);
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
    await plain.goto(`${d.origin}/#tool=train`);
    await plain.locator('[data-testid=token][data-side=chosen]').first().waitFor();
    await plain
      .getByTestId('error')
      .filter({ hasText: /WebGPU/ })
      .waitFor(LIVE);
    expect(await plain.getByTestId('source').innerText()).toBe('shipped: bundled example');
    expect(await plain.locator('#tool').innerText()).toContain('Training needs WebGPU');
    await other.close();
  });

  it('breaks nothing: no error, no request elsewhere, no breach of its policy', () => {
    expect(d.problems).toEqual([]);
  });

  it('loads at most 150 kB before its first colours, and an engine of at most 400 kB, gzipped', () => {
    const assets = join(d.built, 'assets');
    const sizes = new Map(
      readdirSync(assets).map((name) => [name, gzipSync(readFileSync(join(assets, name))).length]),
    );
    const html = readFileSync(join(d.built, 'index.html'), 'utf8');
    const first = [...sizes].filter(([name]) => html.includes(name));
    const scores = gzipSync(readFileSync(join(d.built, 'scores.json'))).length;
    expect(first.length).toBeGreaterThanOrEqual(2);
    expect(sum(first.map(([, size]) => size)) + scores).toBeLessThan(150_000);
    const engine = [...sizes].filter(([name]) => /worker|kernel/.test(name));
    expect(engine.length).toBeGreaterThan(0);
    expect(sum(engine.map(([, size]) => size))).toBeLessThan(400_000);
  });
});
