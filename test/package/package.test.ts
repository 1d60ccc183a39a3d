/** The package as others import it: built, typed, and running in a browser page. */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

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

const CHROMIUM = '/usr/bin/chromium';
const isRequired = (process.env.PREFGRAD_REQUIRE ?? '').split(',').includes('chromium');

describe('examples/browser-minimal.html', () => {
  it.skipIf(!existsSync(CHROMIUM) && !isRequired)('trains in a page', async () => {
    const types: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript' };
    const server = createServer((request, response) => {
      const path = join(root, normalize(decodeURIComponent((request.url ?? '/').split('?')[0])));
      if (!existsSync(path)) return response.writeHead(404).end();
      const type = types[extname(path)] ?? 'application/octet-stream';
      return response.writeHead(200, { 'content-type': type }).end(readFileSync(path));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
    });
    try {
      const page = await browser.newPage();
      const errors: string[] = [];
      page.on('pageerror', (error) => errors.push(String(error)));
      await page.goto(
        `http://127.0.0.1:${(server.address() as AddressInfo).port}/examples/browser-minimal.html`,
      );
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
      server.close();
    }
  });
});
