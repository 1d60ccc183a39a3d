/** The package as others import it: built, typed, and running in a browser page. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasAdapter, launchChromium } from '../support/adapters.ts';
import { serve } from '../support/serve.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const consumer = mkdtempSync(join(tmpdir(), 'prefgrad-consumer-'));
afterAll(() => rmSync(consumer, { recursive: true, force: true }));

function run(command: string, args: readonly string[], cwd: string) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  return { status, stdout, stderr };
}

beforeAll(() => {
  const built = run('npm', ['run', '--silent', 'build'], root);
  if (built.status !== 0) throw new Error(built.stderr + built.stdout);
  mkdirSync(join(consumer, 'node_modules'));
  symlinkSync(root, join(consumer, 'node_modules/prefgrad'));
});

describe('import ... from "prefgrad"', () => {
  it('runs in Node', () => {
    const script =
      "import { objectives, Trainer } from 'prefgrad'; console.log(objectives.length, typeof Trainer.open)";
    writeFileSync(join(consumer, 'use.mjs'), script);
    expect(run(process.execPath, ['use.mjs'], consumer)).toMatchObject({
      status: 0,
      stdout: '15 function\n',
    });
  });

  it('has types, which refuse what is wrong', () => {
    const tsc = join(root, 'node_modules/.bin/tsc');
    const options = ['--noEmit', '--strict', '--module', 'esnext', '--moduleResolution', 'bundler'];
    const check = (body: string) => {
      writeFileSync(
        join(consumer, 'use.ts'),
        `import { detectRuntime, Gpu, score, Trainer } from 'prefgrad';\n${body}`,
      );
      return run(
        tsc,
        [...options, '--target', 'es2022', '--lib', 'es2022,dom', '--types', '', 'use.ts'],
        consumer,
      );
    };
    const right = `
      const gpu: Gpu = await Gpu.open(await detectRuntime());
      export const bytes: number = gpu.device.limits.maxBufferSize;
      export const step = (trainer: Trainer) => trainer.runStep();
      export { score };`;
    expect(check(right)).toMatchObject({ status: 0 });
    expect(check('export const wrong: string = (null as unknown as Trainer).totalSteps;').stdout).toMatch(
      /use\.ts\(2,14\): error TS2322/,
    );
  });
});

describe('examples/browser-minimal.html', () => {
  it.skipIf(!hasAdapter('chromium'))('trains in a page', async () => {
    const server = await serve(root);
    const browser = await launchChromium();
    try {
      const page = await browser.newPage();
      const errors: string[] = [];
      page.on('pageerror', (error) => errors.push(String(error)));
      await page.goto(`${server.origin}/examples/browser-minimal.html`);
      await page
        .getByText(/trained: \d+ bytes/)
        .waitFor({ timeout: 120_000 })
        .catch((error: unknown) => {
          throw new Error([...errors, String(error)].join('\n'));
        });
      const text = await page.locator('#log').innerText();
      const losses = [...text.matchAll(/step \d+: loss ([\d.]+)/g)].map((match) => Number(match[1]));
      expect(losses).toHaveLength(5);
      expect(losses[0]).toBeCloseTo(Math.LN2, 4);
      expect(losses[4]).not.toBeCloseTo(Math.LN2, 4);
    } finally {
      await browser.close();
      await server.close();
    }
  });
});
