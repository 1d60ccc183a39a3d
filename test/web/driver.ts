/** The built page in Chromium on SwiftShader, and what a person does with it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { build } from 'vite';
import { expect } from 'vitest';
import { launchChromium } from '../support/adapters.ts';
import { violationsOf } from '../support/axe.ts';
import { cli } from '../support/run-cli.ts';
import { type Served, serve } from '../support/serve.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
/** Most milliseconds that anything takes which the engine has to compile kernels for. */
export const LIVE = { timeout: 120_000 };

/** Rows of which little has to be computed. */
export const SHORT = [
  { prompt: 'Once', chosen: ' a cat sat.', rejected: ' a dog sat.' },
  { prompt: 'Once', chosen: ' a girl ran.', rejected: ' a boy ran.' },
];

/** Sides of a line of `prefgrad score`. */
export interface ScoreLine {
  readonly chosen: { token_ids: number[]; rewards: number[]; contributions: number[] };
  readonly rejected: { token_ids: number[]; rewards: number[]; contributions: number[] };
}

export class Driver {
  /** Of this test's own files. */
  readonly folder = mkdtempSync(join(tmpdir(), 'prefgrad-page-'));
  readonly built = join(this.folder, 'page');
  /** Errors of scripts, requests elsewhere, breaches of the page's policy. */
  readonly problems: string[] = [];
  #server: Served | undefined;
  #browser: Browser | undefined;
  #page: Page | undefined;

  /** Builds the page and opens it. */
  async start(hash = ''): Promise<void> {
    await build({
      configFile: `${root}web/vite.config.ts`,
      logLevel: 'silent',
      build: { outDir: this.built },
    });
    this.#server = await serve(this.built);
    this.#browser = await launchChromium();
    this.#page = await this.browser.newPage({ viewport: { width: 1280, height: 900 } });
    this.page.on('pageerror', (error) => this.problems.push(String(error)));
    this.page.on('console', (message) => {
      if (message.type() === 'error') this.problems.push(message.text());
    });
    this.page.on('request', (request) => {
      if (!request.url().startsWith(this.origin) && /^https?:/.test(request.url()))
        this.problems.push(request.url());
    });
    await this.open(hash);
  }

  /** Opens the page anew, as a reload does. */
  async open(hash = ''): Promise<void> {
    await this.page.goto('about:blank');
    await this.page.goto(`${this.origin}/${hash}`);
    await this.page.locator('[data-testid=token][data-side=chosen]').first().waitFor();
  }

  async close(): Promise<void> {
    await this.#browser?.close();
    await this.#server?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  get page(): Page {
    if (this.#page === undefined) throw new Error('The page is not open.');
    return this.#page;
  }

  get browser(): Browser {
    if (this.#browser === undefined) throw new Error('There is no browser.');
    return this.#browser;
  }

  get origin(): string {
    return this.#server?.origin ?? '';
  }

  pane(place = 0) {
    return this.page.getByTestId('pane').nth(place);
  }

  /** Ids and values of one side's tokens in a pane. */
  shown(side: 'chosen' | 'rejected', place = 0) {
    return this.pane(place)
      .locator(`[data-testid=token][data-side=${side}]`)
      .evaluateAll((tokens) =>
        tokens.map((token) => ({
          id: Number(token.getAttribute('data-id')),
          value: Number(token.getAttribute('data-value')),
        })),
      );
  }

  /** The first number in an element. */
  async numberIn(testid: string, place = 0): Promise<number> {
    return Number.parseFloat((await this.pane(place).getByTestId(testid).innerText()).replace('−', '-'));
  }

  /** The engine has made what the pane shows. */
  async isLive(place = 0, method: RegExp = /rewards of/): Promise<void> {
    const said = async () => (await this.pane(place).innerText()).match(/rewards of .*/)?.[0] ?? '';
    await expect.poll(said, LIVE).toMatch(/, computed here/);
    await expect.poll(said, LIVE).toMatch(method);
  }

  tool(name: string): Promise<void> {
    return this.page.getByTestId(`tab-${name}`).click();
  }

  drop(name: string, text: string): Promise<void> {
    const file = { name, mimeType: 'text/plain', buffer: Buffer.from(text) };
    return this.page.getByTestId('files').setInputFiles([file]);
  }

  async opened(text: string): Promise<void> {
    await this.page.getByTestId('files-status').filter({ hasText: text }).waitFor(LIVE);
  }

  async trainStatus(...texts: readonly string[]): Promise<void> {
    let status = this.page.getByTestId('train-status');
    for (const hasText of texts) status = status.filter({ hasText });
    await status.waitFor(LIVE);
  }

  /** What is serious to people who use it otherwise. */
  violations(rules?: readonly string[]): Promise<string[]> {
    return violationsOf(this.page, rules);
  }

  /** What `prefgrad score` says of the first rows, by the shipped models; the file is scores.jsonl in the folder. */
  async scoreLines(rows: number): Promise<ScoreLine[]> {
    const lines = readFileSync('examples/quickstart/eval.jsonl', 'utf8').split('\n').slice(0, rows);
    const [data, out] = [join(this.folder, 'rows.jsonl'), join(this.folder, 'scores.jsonl')];
    writeFileSync(data, lines.join('\n'));
    const models = ['--model', 'web/public/models/dpo-bmc', '--reference', 'web/public/models/reference'];
    const method = ['--objective', 'dpo', '--settings', 'beta=0.5', '--bmc'];
    expect((await cli('score', ...models, ...method, '--data', data, '--out', out)).code).toBe(0);
    const text = readFileSync(out, 'utf8').trim();
    return text.split('\n').map((line) => JSON.parse(line) as ScoreLine);
  }
}

export const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
export const jsonLines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
