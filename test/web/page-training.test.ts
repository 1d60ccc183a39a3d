/**
 * Training in the page: the built page in Chromium with WebGPU on SwiftShader, on two short rows of one's own. One page is
 * opened and used from top to bottom, as a person does.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { unzipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasAdapter } from '../support/adapters.ts';
import { cli } from '../support/run-cli.ts';
import { Driver, jsonLines, LIVE, SHORT } from './driver.ts';

const d = new Driver();

describe.skipIf(!hasAdapter('chromium'))('training in the page', () => {
  beforeAll(async () => {
    await d.start('#tool=files');
    await d.drop('mine.jsonl', jsonLines(SHORT));
    await d.opened('mine.jsonl: 2 pairs');
  }, 240_000);

  afterAll(() => d.close());

  it('trains: curves, moving colours, and a pause while its tab is hidden', async () => {
    await d.tool('train');
    await d.page.getByTestId('train-steps').fill('3');
    await d.page.getByTestId('train-batch').fill('2');
    await d.page.getByTestId('train-weights').selectOption('lora');
    await d.page.getByTestId('train-lr').fill('0.01');
    await d.page.evaluate(`globalThis.said = [];
      const status = document.querySelector('[data-testid=train-status]');
      new MutationObserver(() => said.push(status.textContent)).observe(status, { childList: true });`);
    await d.page.getByTestId('step').click();
    await d.trainStatus('step 1 of 3');
    const said = (await d.page.evaluate('said')) as string[];
    expect(said.filter((text) => /^compiled \d+ of \d+ kernels$/.test(text)).length).toBeGreaterThan(3);
    expect(await d.page.getByTestId('curve').count()).toBeGreaterThanOrEqual(3);
    const first = await d.shown('chosen', 1);
    // Chromium without a window never hides a tab by itself.
    const setHidden = (hidden: boolean) =>
      d.page.evaluate((value) => {
        Object.defineProperty(document, 'hidden', { value, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
      }, hidden);
    await setHidden(true);
    await d.page.getByTestId('train').focus();
    await d.page.keyboard.press('Enter');
    await setHidden(true);
    await d.page
      .getByTestId('train-status')
      .filter({ hasText: /waiting|finished/ })
      .waitFor(LIVE);
    await setHidden(false);
    await d.trainStatus('step 3 of 3', 'finished');
    expect((await d.shown('chosen', 1)).map(({ value }) => value)).not.toEqual(
      first.map(({ value }) => value),
    );
  });

  it('compares two runs of different methods on the same pairs', async () => {
    await d.page.getByTestId('reset').click();
    await d.trainStatus('not started');
    await d.page.getByTestId('train-method').selectOption('cpo');
    await d.page.getByTestId('train').click();
    await d.trainStatus('step 3 of 3', 'finished');
    await d.page.getByTestId('compare').click();
    await d.isLive(0, /rewards of dpo with BMC/);
    await d.isLive(1, /rewards of cpo/);
    const named = async (place: number) =>
      d.page.getByTestId(`pane-source-${place}`).locator('option:checked').innerText();
    expect([await named(0), await named(1)]).toEqual(['run 1: dpo with BMC', 'run 2: cpo']);
    // A figure has its plot once the plots' library was imported.
    const curve = d.page.getByTestId('curve').first();
    await expect.poll(() => curve.innerHTML(), LIVE).toMatch(/run 1: dpo.*run 2: cpo/s);
  });

  it('goes on with its run after a reload', async () => {
    await d.open('#tool=train');
    await d.page.getByTestId('train-kept').filter({ hasText: 'a run of cpo at step 3 of 3' }).waitFor(LIVE);
    await d.page.getByTestId('continue').click();
    await d.trainStatus('step 3 of 3', 'continued');
    expect(await d.page.getByTestId('curve').count()).toBeGreaterThanOrEqual(3);
  });

  it('downloads a run directory that prefgrad train continues', async () => {
    const [file] = await Promise.all([
      d.page.waitForEvent('download'),
      d.page.getByTestId('download').click(),
    ]);
    expect(await d.page.getByTestId('train-kept').innerText()).toContain('--resume');
    for (const [name, bytes] of Object.entries(unzipSync(readFileSync(await file.path())))) {
      mkdirSync(dirname(join(d.folder, name)), { recursive: true });
      writeFileSync(join(d.folder, name), bytes);
    }
    const before = process.cwd();
    // Paths of a configuration are relative to the current directory.
    process.chdir(d.folder);
    const config = 'prefgrad-run/config.yaml';
    const command = ['train', config, '--resume', '--set', 'training.max_steps=4'];
    const { code, stderr } = await cli(...command).finally(() => process.chdir(before));
    expect([code, stderr]).toEqual([0, expect.not.stringContaining('starts anew')]);
    const log = readFileSync(join(d.folder, 'prefgrad-run/metrics.jsonl'), 'utf8').trim().split('\n');
    expect(log.map((line) => JSON.parse(line).step)).toEqual([1, 2, 3, 4]);
    expect(readdirSync(join(d.folder, 'prefgrad-run/model'))).toContain('adapter_model.safetensors');
  });

  it('breaks nothing: no error, no request elsewhere, no breach of its policy', () => {
    expect(d.problems).toEqual([]);
  });
});
